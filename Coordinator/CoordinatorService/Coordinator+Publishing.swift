import Bytes
import Cluster
import Ledger
import OrderedCollections
import Scheduling

extension Coordinator {
    /// What is left to push of a job's model.
    func publication(of id: JobID) throws -> Publisher.Work {
        guard let live = core.scheduler.jobs[id], live.stage == .publish else { return .over }
        if live.paused { return .later }
        guard let record = try ledger.job(id), let publish = record.description.publish, let digest = record.bundle
        else { return .over }
        let acknowledged = Set(
            try ledger.publications(id).filter { $0.acknowledged && $0.digest == digest }.map(\.node))
        return .push(digest: digest, model: publish.model, nodes: publish.nodes.filter { !acknowledged.contains($0) })
    }

    /// A node has acknowledged a job's model.
    func acknowledged(_ id: JobID, node: String, digest: String) {
        process([.published(job: id, node: node, digest: digest)])
    }
}
