import Bytes
import Foundation
import Serving
import Synchronization

/// The memory that the models of a node may take together.
package final class ModelMemory: Sendable {
    private let budget: Mutex<MemoryBudget>

    /// A budget of this many bytes.
    package init(bytes: Int) { budget = Mutex(MemoryBudget(total: bytes)) }

    /// Half of what the machine has, or of what this process's control group may have where that is less.
    package static var standardBytes: Int {
        let limit = Int(ProcessMemory.limit)
        return (limit > 0 ? limit : Int(clamping: ProcessInfo.processInfo.physicalMemory)) / 2
    }

    /// Bytes that are taken until it goes away.
    final class Reservation: Sendable {
        private let memory: ModelMemory
        private let bytes: Int

        fileprivate init(_ memory: ModelMemory, _ bytes: Int) { (self.memory, self.bytes) = (memory, bytes) }

        deinit { memory.budget.withLock { $0.release(bytes) } }
    }

    /// Takes bytes for what is going to be allocated.
    ///
    /// - Parameter purpose: what for, for the error.
    /// - Throws: `InputError` with `.full` where there are not so many left.
    func reserve(_ bytes: Int, for purpose: String) throws(InputError) -> Reservation {
        let (isReserved, budget) = self.budget.withLock { ($0.reserve(bytes), $0) }
        guard isReserved else {
            throw InputError(
                .full, "the memory budget of the node is too small for \(purpose)",
                expected: "at most \(Self.mebibytes(budget.free)), what is left of \(Self.mebibytes(budget.total))",
                found: Self.mebibytes(bytes),
                hint: "Start the node with a larger --memory-mib, or serve this model from another one.")
        }
        return Reservation(self, bytes)
    }

    private static func mebibytes(_ bytes: Int) -> String {
        let tenths = bytes / ((1 << 20) / 10)
        return "\(tenths / 10).\(tenths % 10) MiB"
    }
}
