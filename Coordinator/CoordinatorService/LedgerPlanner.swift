import Bytes
import Cluster
import Features
import Foundation
import Ledger
import Models
import Scheduling

/// Plans the stages of the ledger's jobs: the pure planner, and the plans of trainings as blobs.
struct LedgerPlanner: Sendable {
    let ledger: Ledger
    let blobs: BlobStore
    let catalog: SiteCatalog

    private var stages: StagePlanner<Ledger> {
        StagePlanner(ledger, sites: sites, training: planTraining)
    }

    /// What a stage needs before it can begin.
    func plan(_ id: JobID, _ stage: JobStage) -> Result<StagePlan, PlanFailure> {
        do { return .success(try stages.plan(id, stage)) } catch let failure as PlanFailure {
            return .failure(failure)
        } catch {
            return .failure(PlanFailure("\(error)"))
        }
    }

    /// Units that the ledger has restored know no sites yet.
    func complete(_ job: RestoredJob) throws -> RestoredJob { try stages.complete(job) }

    /// The sites that may have a file with these URLs, each once.
    private func sites(_ urls: [String]) -> [String] {
        var names: [String] = []
        for replica in catalog.replicas(urls) where !names.contains(replica.site) { names.append(replica.site) }
        return names
    }

    // MARK: Training

    /// The plans are made from the specs once; after that they are only looked up.
    private func planTraining(_ id: JobID) throws -> StagePlan {
        guard let job = try ledger.job(id) else { throw PlanFailure("the ledger has no job \(id)") }
        var plan = StagePlan()
        let plans: StoredPlans
        if let known = try StoredPlans(of: job, in: blobs) {
            plans = known
        } else {
            let made = try makePlans(job, &plan)
            plans = try StoredPlans(data: made.data, training: made.training, storedIn: blobs)
        }
        if job.dataPlan != plans.dataDigest || job.trainingPlan != plans.trainingDigest {
            plan.writes.append(.job(job.id, .plans(data: plans.dataDigest, training: plans.trainingDigest)))
        }
        let files = try ledger.fileNumbers(job.id)
        plan.training = TrainingFacts(
            dataPlan: plans.dataDigest, trainingPlan: plans.trainingDigest, lanes: plans.data.lanes.count,
            localPaths: plans.data.inputs.compactMap { localPath(of: $0.file.url) },
            files: plans.data.inputs.map { files[$0.file.url] })
        plan.training?.memory = try Self.memory(plans)
        return plan
    }

    /// What a training takes of a member's memory.
    /// - Throws: `PlanFailure` where that is more than any training may take.
    private static func memory(_ plans: StoredPlans) throws -> TrainingMemory {
        let memory = try plans.training.memory(
            inputs: plans.data.schema.flatWidth, lanes: plans.data.lanes.count)
        if let excess = memory.excess { throw PlanFailure("\(excess)") }
        return memory
    }

    private func makePlans(
        _ job: Ledger.JobRecord, _ plan: inout StagePlan
    ) throws -> (data: DataPlan, training: TrainingPlan) {
        guard let train = job.description.train else { throw PlanFailure("the job does not train") }
        let training = TrainingPlan(train, seed: train.seed ?? job.description.split.seed)
        let merged = try MergedSpecs(ledger, job: job)
        let made = try DataPlanner(
            job: job.description, branches: merged.branches, trainingSpecs: merged.parts.train,
            surveyed: try ledger.surveyedBranches(job.id), inputs: merged.inputs, blocks: merged.blocks
        ).plan(for: training, lanes: train.lanes)
        if job.description.publish != nil { try training.checkServable(made.plan.schema) }
        plan.notes = made.notes
        return (made.plan, training)
    }
}

/// The ledger with the sites' names filled in.
final class SitedLedger: LedgerStore, Sendable {
    private let ledger: Ledger
    private let planner: LedgerPlanner

    init(_ ledger: Ledger, _ planner: LedgerPlanner) {
        self.ledger = ledger
        self.planner = planner
    }

    func commit(_ writes: [LedgerWrite], at time: Double) throws { try ledger.commit(writes, at: time) }

    /// A job with a damaged file fails with the reason; nothing of it is deleted, and the others go on.
    func restore() throws -> Restored {
        var restored = try ledger.restore()
        var writes: [LedgerWrite] = []
        restored.jobs = try restored.jobs.compactMap { job in
            do { return try planner.complete(job) } catch let error as InputError where error.code == .corrupt {
                let reason = "the ledger's record of it is damaged: \(error)"
                writes += [.job(job.id, .stage(.failed, error: reason)), .story(.job(job.id), "failed: \(reason)")]
                return nil
            }
        }
        if !writes.isEmpty { try ledger.commit(writes, at: Date().timeIntervalSince1970) }
        return restored
    }

    func counted(_ task: TaskID) throws -> (token: Token, digest: String)? { try ledger.counted(task) }
}
