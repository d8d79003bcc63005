import Cluster
import Foundation
import Hummingbird
import Ledger
import RestInterface
import Synchronization

/// Answers what people ask: from the newest snapshot, and from the ledger through readers of its own. Nothing of it
/// runs on the scheduling thread or on the cooperative pool, and the JSON is encoded where the answer is computed.
final class QueryService: Sendable {
    /// What a job's specs are kept under: they change with its stage, and with a retry.
    struct SpecsKey: Hashable, Sendable {
        var job: JobID
        var stage: JobStage
        var format: SpecsFormat?
        var generation: Int
    }

    private let threads: BlockingThreads
    private let reader: QueryReader
    private let specs: AnswerCache<SpecsKey, ByteBuffer>
    private let generation = Mutex(0)

    /// - Parameters:
    ///   - ledger: a pool of readers.
    ///   - readers: how many requests read the ledger at once.
    init(ledger: Ledger, blobs: BlobStore, snapshots: SnapshotBoard, version: String, readers: Int = 4) {
        threads = BlockingThreads(readers, niceness: 10, maxWaiting: 1000)
        reader = QueryReader(ledger: ledger, blobs: blobs, snapshots: snapshots, version: version)
        // While files are counted, all that ask together cost at most a twentieth of a thread.
        specs = AnswerCache(threads: threads, maxAnswers: 8, factor: 20)
    }

    /// Reads on one of the threads.
    func read<Value: Sendable>(_ body: @escaping @Sendable (QueryReader) throws -> Value) async throws -> Value {
        let reader = reader
        return try await threads.run { try body(reader) }
    }

    /// Reads, and encodes what was read.
    func json(_ body: @escaping @Sendable (QueryReader) throws -> some Encodable & Sendable) async throws -> ByteBuffer
    {
        try await read { ByteBuffer(bytes: try RestJSON.encode(try body($0))) }
    }

    /// - Returns: nil where there is no such job.
    /// - Throws: where the job has no specs yet.
    func specs(_ id: JobID, format: SpecsFormat?) async throws -> ByteBuffer? {
        guard let stage = try await read({ try $0.stage(id) }) else { return nil }
        let key = SpecsKey(job: id, stage: stage, format: format, generation: generation.withLock { $0 })
        let reader = reader
        return try await specs.answer(key) { ByteBuffer(bytes: try reader.specs(id, format: format)) }
    }

    /// A retried job may leave out files that it had: what is kept of it is worth nothing any more.
    func forgetRetried(_ job: JobID) {
        generation.withLock { $0 += 1 }
        reader.forget(job)
    }
}
