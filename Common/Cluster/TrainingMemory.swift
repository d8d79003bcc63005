/// What a training takes of a member's memory, in bytes: as if the member trained alone, since all others may leave.
/// Doubles, so that no product overflows.
package struct TrainingMemory: Sendable, Equatable {
    /// The most that a training may take of one worker.
    package static let limit = 64 * 1024.0 * 1024 * 1024

    /// Whatever the number of threads: the training's state, its copies on their way, the sums of a step, the samples'
    /// values in all layers.
    package var sharedBytes: Double
    /// For each thread: its sums of the gradient, its scratch, and the least number of samples that it has room for.
    package var threadBytes: Double
    /// The threads that can compute at once: one for each lane.
    package var maxThreads: Int

    package init(sharedBytes: Double, threadBytes: Double, maxThreads: Int) {
        self.sharedBytes = sharedBytes
        self.threadBytes = threadBytes
        self.maxThreads = maxThreads
    }

    /// The bytes that a worker with so many threads needs.
    package func bytes(threads: Int) -> Double { sharedBytes + threadBytes * Double(max(1, min(threads, maxThreads))) }

    /// Bytes as people read them, in GiB with one digit after the point.
    package static func text(_ bytes: Double) -> String {
        let tenths = (bytes / (1024 * 1024 * 1024) * 10).rounded(.up)
        // Beyond what an integer holds, nobody wants the digits.
        guard tenths < 1e15 else { return "more than 100000000000000 GiB" }
        return "\(Int64(tenths) / 10).\(Int64(tenths) % 10) GiB"
    }
}
