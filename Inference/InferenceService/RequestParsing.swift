import Bytes
import Foundation

/// Reads and writes JSON on threads of their own: a large document takes seconds, in which the cooperative pool
/// would answer nobody. Large documents are read one at a time, since each may take many times its size in memory.
struct RequestParsing: Sendable {
    /// A document of at most so many bytes is read where it is: handing it over would take longer.
    private static let tiny = 16 << 10
    /// A document of more bytes is a large one.
    private static let large = 256 << 10

    private let usual = ComputeQueue(threads: ProcessInfo.processInfo.activeProcessorCount)
    private let single = ComputeQueue(threads: 1)

    /// Waits for a thread and gives the result of `body`.
    ///
    /// - Parameter bytes: the document's size, about.
    func run<T: Sendable>(
        bytes: Int, _ body: @escaping @Sendable () throws(InputError) -> T
    ) async throws(InputError) -> T {
        guard bytes > Self.tiny else { return try body() }
        let queue = bytes > Self.large ? single : usual
        return try await queue.run { Result { () throws(InputError) in try body() } }.get()
    }
}
