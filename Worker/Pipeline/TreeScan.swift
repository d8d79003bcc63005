package import Bytes
import Columns
import Dispatch
package import RootFormat
import Storage
import Synchronization

/// Reads whole trees once, branch by branch, on several threads: each column is used while it lies in the cache.
package struct TreeScan<Consumer: ColumnConsumer>: Sendable {
    /// The result of one branch.
    package enum Outcome: Sendable {
        case read(Consumer)
        /// The branch cannot be read; others of the tree can.
        case unreadable(InputError)
    }

    /// A tree of an open file, and the branches wanted of it.
    package struct Input: Sendable {
        package let file: RootFile
        package let tree: TreeDescription
        package let branches: [BranchDescription]

        package init(file: RootFile, tree: TreeDescription, branches: [BranchDescription]) {
            self.file = file
            self.tree = tree
            self.branches = branches
        }
    }

    /// Branches that are read together: members of one streamed object.
    private struct Task: Sendable {
        let input: Int
        let branches: Range<Int>
        let weight: Int64
    }

    private let threads: Int
    /// Inflated bytes of one branch that are held at once.
    private let pieceBytes: Int64

    package init(threads: Int, pieceBytes: Int64 = 1 << 20) {
        self.threads = max(1, threads)
        self.pieceBytes = pieceBytes
    }

    /// - Returns: for each input an outcome for each of its branches, in their order.
    package func run(_ inputs: [Input]) -> [[Outcome]] {
        let tasks = inputs.indices.flatMap { Self.tasks(inputs[$0], $0) }.sorted { $0.weight > $1.weight }
        let next = Atomic<Int>(0)
        let results = Mutex<[[Outcome?]]>(inputs.map { .init(repeating: nil, count: $0.branches.count) })
        DispatchQueue.concurrentPerform(iterations: min(threads, max(1, tasks.count))) { _ in
            let decoder = ColumnDecoder()
            while true {
                let index = next.add(1, ordering: .relaxed).oldValue
                guard index < tasks.count else { return }
                let task = tasks[index]
                let outcomes = read(inputs[task.input], task.branches, decoder)
                results.withLock { results in
                    for (offset, outcome) in outcomes.enumerated() {
                        results[task.input][task.branches.lowerBound + offset] = outcome
                    }
                }
            }
        }
        return results.withLock { $0.map { $0.map { $0! } } }
    }

    private static func tasks(_ input: Input, _ index: Int) -> [Task] {
        var tasks: [Task] = []
        var start = 0
        while start < input.branches.count {
            var end = start + 1
            while end < input.branches.count, input.branches[end].sharesReading(with: input.branches[start]) {
                end += 1
            }
            tasks.append(Task(input: index, branches: start..<end, weight: input.branches[start].compressedBytes))
            start = end
        }
        return tasks
    }

    private func read(_ input: Input, _ range: Range<Int>, _ decoder: ColumnDecoder) -> [Outcome] {
        let branches = Array(input.branches[range])
        let readable = branches.indices.filter { branches[$0].column != nil }
        var consumers: [Int: Consumer] = [:]
        for index in readable {
            consumers[index] = Consumer(type: branches[index].column!.type, shape: branches[index].column!.shape)
        }
        var failure: InputError?
        if let first = readable.first {
            do throws(InputError) {
                let entries = branches[first].entries
                for piece in branches[first].pieces(bytes: pieceBytes, entries: entries) {
                    let plan = try EntryPlan(tree: input.tree, branches: readable.map { branches[$0] }, entries: piece)
                    let fetched = try input.file.source.read(plan.ranges)
                    try decoder.forEachColumn(plan, fetched) { (index, column) throws(InputError) in
                        consumers[readable[index]]?.add(column)
                    }
                }
            } catch { failure = error.located(file: input.file.url) }
        }
        return branches.indices.map { index in
            if let reason = branches[index].unsupportedReason {
                return .unreadable(
                    InputError(
                        .unsupported, reason, file: input.file.url, object: "the branch \(branches[index].name)"))
            }
            return failure.map { .unreadable($0) } ?? .read(consumers[index]!)
        }
    }
}
