import Bytes
import Cluster
import Features
import Foundation
import Pipeline
import Sampling
import Synchronization
import Training
import Wire

/// Fetches plans from the coordinator, and reads the samples of their blocks. The samples of the newest data plan are
/// kept from round to round.
final class PlanLoader: Sendable {
    private let settings: WorkerService.Settings
    private let resources: ReadResources
    /// Reading waits for sites: more threads than cores.
    private let threads: TaskThreads
    private let kept = Mutex<(dataPlan: String, cache: RowCache)?>(nil)

    init(settings: WorkerService.Settings, resources: ReadResources) {
        self.settings = settings
        self.resources = resources
        threads = TaskThreads(settings.threads + settings.readAhead)
    }

    /// The address at which other workers reach this one.
    var host: String { settings.host }

    /// Fetches the plans of a round.
    func load(_ order: RoundOrder, _ blobs: BlobClient) throws -> LoadedPlan {
        let data = try WireCoding.value(DataPlan.self, Data(try blocking { try await blobs.get(order.dataPlan) }))
        let training = try WireCoding.value(
            TrainingPlan.self, Data(try blocking { try await blobs.get(order.trainingPlan) }))
        return LoadedPlan(data, training, cache: cache(order.dataPlan, data))
    }

    /// Reads the blocks of some lanes until the cache is full, and checks their labels.
    func preload(_ plan: LoadedPlan, lanes: [Int], isStopped: @escaping @Sendable () -> Bool) throws {
        let data = plan.data
        let blocks = Set(lanes.filter(data.lanes.indices.contains).flatMap { data.lanes[$0].map(\.block) }).sorted()
        let failure = Mutex<InputError?>(nil)
        threads.forEach(blocks.count) { index in
            guard !isStopped(), !plan.cache.isFull, failure.withLock({ $0 == nil }) else { return }
            do throws(InputError) {
                try plan.training.checkLabels(try plan.cache.events(blocks[index]), of: blocks[index], in: data)
            } catch { failure.withLock { $0 = error } }
        }
        if let error = failure.withLock({ $0 }) { throw error }
        if isStopped() { throw RoundStopped() }
    }

    /// The samples of a data plan; those of another are dropped.
    private func cache(_ digest: String, _ data: DataPlan) -> RowCache {
        kept.withLock { kept in
            if let kept, kept.dataPlan == digest { return kept.cache }
            let resources = resources
            let (roots, followsLinks) = (settings.localRoots, settings.followsLinks)
            let cache = RowCache(limit: settings.cacheBytes) { (index) throws(InputError) in
                try BlockReader(resources, localRoots: roots, followsLinks: followsLinks).events(
                    data.blocks[index], of: data.inputs[data.blocks[index].input], data.schema,
                    labelBranch: data.labelBranch, split: data.split)
            }
            kept = (digest, cache)
            return cache
        }
    }
}
