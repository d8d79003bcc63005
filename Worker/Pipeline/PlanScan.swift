package import Bytes
package import Cluster
import Dispatch
package import Features
import Foundation
package import Sampling
import Synchronization

/// Reads the samples of a data plan's blocks in the plan's order, on several threads that read ahead of their use.
package struct PlanScan: Sendable {
    private let plan: DataPlan
    private let resources: ReadResources
    private let localRoots: [String]
    private let threads: Int

    /// - Parameters:
    ///   - localRoots: the directories below which local files may be read.
    ///   - threads: blocks that are read at once; up to twice as many are in memory.
    /// - Throws: `InputError` where the plan is not consistent.
    package init(
        _ plan: DataPlan, resources: ReadResources, localRoots: [String], threads: Int
    ) throws(InputError) {
        try Self.validate(plan)
        self.plan = plan
        self.resources = resources
        self.localRoots = localRoots
        self.threads = max(1, threads)
    }

    /// Reads all blocks that have samples of some parts, and hands them over in the plan's order.
    ///
    /// - Throws: what `body` throws; `InputError` with the file where a block cannot be read, or its file is not the
    ///   one that was surveyed.
    package func forEachBlock(
        of parts: [SplitPart], _ body: (TrainingBlock, EventStore) throws -> Void
    ) throws {
        let blocks = plan.blocks.filter { block in parts.contains { block.rows[$0] > 0 } }
        let count = min(threads, max(1, blocks.count))
        let queue = OrderedReads(count: blocks.count, window: 2 * count)
        defer { queue.stop(threads: count) }
        for _ in 0..<count {
            let thread = Thread { [self] in
                let reader = BlockReader(resources, localRoots: localRoots)
                queue.serve { (index) throws(InputError) in
                    try reader.events(
                        blocks[index], of: plan.inputs[blocks[index].input], plan.schema,
                        labelBranch: plan.labelBranch, split: plan.split)
                }
            }
            thread.stackSize = 2 << 20
            thread.start()
        }
        for (index, block) in blocks.enumerated() {
            try body(block, try queue.take(index).get())
            queue.release()
        }
    }

    /// Checks what a decoded plan may not be relied on for.
    private static func validate(_ plan: DataPlan) throws(InputError) {
        try plan.schema.validate()
        for (index, block) in plan.blocks.enumerated() {
            guard plan.inputs.indices.contains(block.input), block.first >= 0, block.end >= block.first,
                block.end - block.first <= Int64(Int32.max), Int32(exactly: block.label) != nil,
                block.rows.values.allSatisfy({ 0 <= $0 && Int64($0) <= block.end - block.first })
            else {
                throw InputError(
                    .corrupt, "a block of the data plan is invalid", object: "block \(index)",
                    expected: "entries of one of \(plan.inputs.count) files",
                    found: "entries \(block.first) to \(block.end) of file \(block.input), label \(block.label)")
            }
        }
    }
}

/// Results that several threads make and one takes in order. At most `window` of them are under way or wait to be
/// taken.
private final class OrderedReads: Sendable {
    private final class Slot: Sendable {
        let isFilled = DispatchSemaphore(value: 0)
        let result = Mutex<Result<EventStore, InputError>?>(nil)
    }

    private let count: Int
    /// The result with index i goes through the slot with index i modulo their number.
    private let slots: [Slot]
    /// Counts the slots that may be filled.
    private let free = DispatchSemaphore(value: 0)
    private let next = Atomic<Int>(0)
    private let isStopped = Atomic<Bool>(false)

    init(count: Int, window: Int) {
        self.count = count
        slots = (0..<window).map { _ in Slot() }
        for _ in slots { free.signal() }
    }

    /// Makes one result after another until all are made, or the reads are stopped.
    func serve(_ read: (Int) throws(InputError) -> EventStore) {
        while true {
            free.wait()
            guard !isStopped.load(ordering: .acquiring) else { return }
            let index = next.add(1, ordering: .relaxed).oldValue
            guard index < count else { return }
            let result: Result<EventStore, InputError>
            do throws(InputError) { result = .success(try read(index)) } catch { result = .failure(error) }
            let slot = slots[index % slots.count]
            slot.result.withLock { $0 = result }
            slot.isFilled.signal()
        }
    }

    /// Waits for a result; the indices are asked for in order, each once.
    func take(_ index: Int) -> Result<EventStore, InputError> {
        let slot = slots[index % slots.count]
        slot.isFilled.wait()
        return slot.result.withLock { held in
            guard let result = held else { preconditionFailure("a slot was signalled without a result") }
            held = nil
            return result
        }
    }

    /// Makes room for another result.
    func release() { free.signal() }

    /// Ends the threads once they have made what they are at.
    func stop(threads: Int) {
        isStopped.store(true, ordering: .releasing)
        for _ in 0..<threads { free.signal() }
    }
}
