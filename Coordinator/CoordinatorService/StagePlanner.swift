import Bytes
import Cluster
import Features
import Foundation
import Ledger
import Scheduling

/// Prepares a job's stages from what the ledger has: a thin shell over the pure planners.
struct StagePlanner: Sendable {
    let ledger: Ledger
    let blobs: BlobStore
    let catalog: SiteCatalog

    /// What a stage needs before it can begin.
    func plan(_ id: JobID, _ stage: JobStage) -> Result<StagePlan, PlanFailure> {
        do {
            guard let job = try ledger.job(id) else { return .failure(PlanFailure("the ledger has no job \(id)")) }
            var plan = StagePlan()
            switch stage {
            case .list: plan.units = job.description.patterns.enumerated().map { unit(.pattern($0), [$1.pattern]) }
            case .survey:
                plan.units = try ledger.files(id).filter { $0.skipped == nil }.map {
                    unit(.file($0.id), $0.replicas.urls)
                }
            case .specs: try planChunks(job, &plan)
            case .train, .evaluate: try planTraining(job, &plan)
            case .publish: break
            case .queued, .done, .failed, .cancelled:
                return .failure(PlanFailure("stage \(stage.rawValue) cannot be planned"))
            }
            return .success(plan)
        } catch let failure as PlanFailure { return .failure(failure) } catch {
            return .failure(PlanFailure("\(error)"))
        }
    }

    /// Units that the ledger has restored know no sites yet.
    func complete(_ restored: Restored) throws -> Restored {
        var restored = restored
        for index in restored.jobs.indices { restored.jobs[index] = try complete(restored.jobs[index]) }
        return restored
    }

    func complete(_ job: RestoredJob) throws -> RestoredJob {
        guard job.stage.hasTasks else { return job }
        var job = job
        let patterns = job.description.patterns
        let files =
            job.stage == .list
            ? [:] : Dictionary(uniqueKeysWithValues: try ledger.files(job.id).map { ($0.id, $0.replicas.urls) })
        job.units = job.units.map { old in
            let urls =
                switch old.id {
                case .pattern(let index): [patterns[index].pattern]
                case .file(let id): files[id] ?? []
                }
            var new = unit(old.id, urls)
            (new.cuts, new.next) = (old.cuts, old.next)
            return new
        }
        return job
    }

    private func unit(_ id: UnitID, _ urls: [String]) -> WorkUnit {
        var names: [String] = []
        for replica in catalog.replicas(urls) where !names.contains(replica.site) { names.append(replica.site) }
        return WorkUnit(id: id, sites: names, localPath: urls.first.flatMap(localPath(of:)))
    }

    private func planChunks(_ job: Ledger.JobRecord, _ plan: inout StagePlan) throws {
        let files = try ledger.files(job.id).filter { $0.skipped == nil }
        var seen: [String: String] = [:]
        for file in files {
            guard let survey = file.survey else { throw PlanFailure("\(file.url) was not surveyed") }
            let key = survey.identity + "|" + job.description.datasets[file.dataset].tree
            if let other = seen.updateValue(file.url, forKey: key) {
                throw PlanFailure(
                    "one input is named twice: \(other) and \(file.url) have one identity; name it once")
            }
        }
        let resolution: BranchResolution
        do throws(BranchResolution.Mistakes) {
            resolution = try BranchResolution(job.description, files: files.map { ($0.url, $0.survey!) })
        } catch {
            throw PlanFailure(error.sentences.joined(separator: "; "))
        }
        plan.notes = resolution.leftOut.map { "left out: \($0)" }
        plan.writes = [.job(job.id, .branches(resolution.branches))]
        plan.maxBlocks = Ledger.maxBlocks(resolution.branches.count)
        for file in files {
            let cuts = ChunkPlanner.cuts(
                file.survey!.boundaries, clusters: file.survey!.clusters, events: job.description.chunkEvents,
                blocks: Int(plan.maxBlocks))
            guard !cuts.isEmpty else { continue }
            plan.writes.append(.file(file.id, .cuts(cuts)))
            var unit = unit(.file(file.id), file.replicas.urls)
            unit.cuts = cuts
            plan.units.append(unit)
        }
    }

    // MARK: Training

    /// The plans are made from the specs once; after that they are only looked up.
    private func planTraining(_ job: Ledger.JobRecord, _ plan: inout StagePlan) throws {
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
    }

    private func makePlans(
        _ job: Ledger.JobRecord, _ plan: inout StagePlan
    ) throws -> (data: DataPlan, training: TrainingPlan) {
        guard let train = job.description.train else { throw PlanFailure("the job does not train") }
        let training = TrainingPlan(train, seed: job.description.split.seed)
        let merged = try MergedSpecs(ledger, job: job)
        let made = try DataPlanner(
            job: job.description, branches: merged.branches, trainingSpecs: merged.parts.train,
            surveyed: try ledger.surveyedBranches(job.id), inputs: merged.inputs, blocks: merged.blocks
        ).plan(for: training, lanes: train.lanes)
        plan.notes = made.notes
        return (made.plan, training)
    }
}

/// The ledger with the sites' names filled in.
final class SitedLedger: LedgerStore, Sendable {
    private let ledger: Ledger
    private let planner: StagePlanner

    init(_ ledger: Ledger, _ planner: StagePlanner) {
        self.ledger = ledger
        self.planner = planner
    }

    func commit(_ writes: [LedgerWrite], at time: Double) throws { try ledger.commit(writes, at: time) }
    func restore() throws -> Restored { try planner.complete(ledger.restore()) }
    func counted(_ task: TaskID) throws -> (token: Token, digest: String)? { try ledger.counted(task) }
}
