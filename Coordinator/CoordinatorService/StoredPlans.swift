import Bytes
import Cluster
import Features
import Foundation
import Ledger
import Wire

/// The plans of a job's training, with the digests of the blobs that hold them.
struct StoredPlans: Sendable {
    let data: DataPlan
    let training: TrainingPlan
    let dataDigest: String
    let trainingDigest: String

    private init(data: DataPlan, training: TrainingPlan, dataDigest: String, trainingDigest: String) {
        self.data = data
        self.training = training
        self.dataDigest = dataDigest
        self.trainingDigest = trainingDigest
    }

    /// Stores the plans as blobs.
    init(data: DataPlan, training: TrainingPlan, storedIn blobs: BlobStore) throws {
        self.data = data
        self.training = training
        dataDigest = try blobs.put([UInt8](try WireCoding.body(data)))
        trainingDigest = try blobs.put([UInt8](try WireCoding.body(training)))
    }

    /// Reads the plans that the ledger names. Where an earlier version left both in one manifest, it is taken apart and
    /// both are stored.
    ///
    /// - Returns: nil where the job has none yet.
    /// - Throws: `InputError` where a blob is missing or not understood.
    init?(of job: Ledger.JobRecord, in blobs: BlobStore) throws {
        if let data = job.dataPlan, let training = job.trainingPlan {
            self = StoredPlans(
                data: try WireCoding.value(DataPlan.self, try Self.blob(data, of: job, in: blobs)),
                training: try WireCoding.value(TrainingPlan.self, try Self.blob(training, of: job, in: blobs)),
                dataDigest: data,
                trainingDigest: training)
        } else if let combined = job.combinedManifest {
            let manifest = try WireCoding.value(CombinedManifest.self, try Self.blob(combined, of: job, in: blobs))
            try self.init(data: manifest.dataPlan, training: manifest.trainingPlan, storedIn: blobs)
        } else {
            return nil
        }
    }

    /// The document of a job's data plan, as it is stored; of an earlier version's manifest, the data plan alone.
    /// Nothing is stored.
    ///
    /// - Returns: nil where the job has none yet.
    /// - Throws: `InputError` where the blob is missing, or the manifest is not understood.
    static func dataPlanDocument(of job: Ledger.JobRecord, in blobs: BlobStore) throws -> Data? {
        if let digest = job.dataPlan { return try blob(digest, of: job, in: blobs) }
        guard let combined = job.combinedManifest else { return nil }
        let manifest = try WireCoding.value(CombinedManifest.self, try blob(combined, of: job, in: blobs))
        return try WireCoding.body(manifest.dataPlan)
    }

    private static func blob(_ digest: String, of job: Ledger.JobRecord, in blobs: BlobStore) throws -> Data {
        guard let bytes = try blobs.get(digest) else {
            throw InputError(
                .missing, "a training plan is missing from the state directory", object: "job \(job.id)",
                expected: "the blob \(digest)")
        }
        return Data(bytes)
    }
}
