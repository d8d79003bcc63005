package import Bytes
import CGloo

/// Numbers that are summed over the members of a `ProcessGroup`, in slices.
// SAFETY: the owner's one training thread alone fills and sums the buffer; it is handed to that thread once.
package final class AllReduceBuffer: AllReduce, @unchecked Sendable {
    package let values: UnsafeMutableBufferPointer<Int64>
    /// Keeps the connections open.
    private let group: ProcessGroup
    private let handle: OpaquePointer?

    /// - Parameter connection: nil in a group of one member, where each sum is there already.
    init(_ group: ProcessGroup, _ connection: OpaquePointer?, count: Int) throws(InputError) {
        self.group = group
        guard let connection else {
            handle = nil
            values = .allocate(capacity: count)
            values.initialize(repeating: 0)
            return
        }
        var failure = cgl_failure()
        guard let made = cgl_buffer_make(connection, count, &failure) else {
            throw InputError(.unreachable, "the members of the round lost each other: \(failure.reason)")
        }
        handle = made
        values = .init(start: cgl_buffer_values(made), count: count)
    }

    deinit { if let handle { cgl_buffer_free(handle) } else { values.deallocate() } }

    /// The number of slices that a sum has.
    package var sliceCount: Int { handle.map { cgl_buffer_slices($0) } ?? 0 }

    /// Adds one slice of the numbers of all members.
    ///
    /// - Parameter slice: from 0 to below `sliceCount`; all members sum all slices in this order.
    package func sum(slice: Int) throws(InputError) {
        guard let handle else { return }
        var failure = cgl_failure()
        let outcome = cgl_buffer_sum(handle, slice, &failure)
        guard outcome == cgl_done else { throw group.error("the round lost", outcome, failure) }
    }

    /// Adds all slices of the numbers of all members, in order.
    package func sum() throws(InputError) { for slice in 0..<sliceCount { try sum(slice: slice) } }
}
