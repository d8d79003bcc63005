import Bytes
import Cluster
import Features
import Foundation
import Ledger
import Scheduling
import Specs
import Wire

extension Coordinator {
    /// Fixes the features and the lane plan from the specs.
    func planTraining() throws {
        guard let job = active, let training = job.description.train, let record = try ledger.job(job.id) else { return }
        let merged = try MergedSpecs(ledger, job: record)
        let kinds = try surveyed(record)
        let inputs = zip(merged.branches, merged.parts[0].branches).filter { $0.0 != job.description.labelBranch && kinds[$0.0] != nil }
        do {
            guard merged.parts[0].rows > 0 else { throw FormatError(.input, "no event is in the training part") }
            let schema = try FeaturePlanner.plan(job.description.features, branches: inputs.map { kinds[$0.0]! }, specs: inputs.map(\.1))
            if case .dense(let units, .softmax)? = training.layers.last, let label = merged.blocks.map(\.label).max(), label >= units {
                throw FormatError(.input, "a label has no unit in the last layer", expected: "labels below \(units)", found: "\(label)")
            }
            let lanes = LanePlan.deal(merged.blocks, lanes: training.lanes, seed: job.description.split.seed)
            let manifest = TrainingManifest(
                training: training, split: job.description.split, labelBranch: job.description.labelBranch, schema: schema,
                inputs: merged.inputs, blocks: merged.blocks, lanes: lanes)
            let digest = try blobs.put([UInt8](try WireCoding.body(manifest)))
            try ledger.setManifest(job.id, digest)
            var notes = schema.constants.map { "constant feature, scale 0: \($0)" }
            let lost = inputs.filter { $0.1.nonfinite > 0 }
            notes += lost.map { "\($0.1.nonfinite) values of \($0.0) in the training part are not finite; they are treated as missing" }
            if workers.count > training.lanes { notes.append("\(workers.count) workers for \(training.lanes) lanes: the others stay idle") }
            try addNotes(notes)
            try ledger.enter(job.id, .train, [], at: Date().timeIntervalSince1970)
        } catch { try finish(.failed, error: "\(error)") }
    }

    func startTraining() throws {
        guard let job = active, let digest = try ledger.job(job.id)?.manifest, let bytes = try blobs.get(digest) else { return }
        active!.manifest = try WireCoding.value(TrainingManifest.self, Data(bytes))
        // Rounds of an earlier life have smaller numbers.
        active!.rounds = RoundKeeper(lastRound: try ledger.next("round") * 1000)
        active!.rounds.begin(now: Self.now())
    }

    /// The workers that can read every file of the job, in their order of joining.
    func trainers() -> [Int64] {
        guard let manifest = active?.manifest else { return [] }
        let local = manifest.inputs.map(\.file.url).filter { localPath(of: $0) != nil }
        return workers.keys.sorted().filter { id in local.allSatisfy { Self.canRead($0, roots: workers[id]!.localRoots) } }
    }

    func tickTraining(_ now: Double) throws {
        guard let job = active, job.stage == .train || job.stage == .evaluate, let manifest = job.manifest else { return }
        if let action = active!.rounds.tick(now: now, available: trainers(), lanes: manifest.lanes.count) { try perform(action) }
    }

    func perform(_ action: RoundKeeper.Action) throws {
        guard let job = active else { return }
        switch action {
        case .stop(let round, let members):
            for member in members { tell(member, .stopRound(round: round)) }
        case .giveUp(let reason):
            try finish(.failed, error: reason)
        case .start(let round, let members):
            guard let digest = try ledger.job(job.id)?.manifest else { return }
            let checkpoint = try ledger.checkpoint(job.id)?.digest
            let names = members.map { workers[$0]?.name ?? "?" }
            log.info("job \(job.id): training round \(round) with \(names.joined(separator: ", "))")
            for (rank, member) in members.enumerated() {
                tell(member, .startRound(RoundOrder(
                    job: job.id, round: round, rank: rank, members: names, manifest: digest, checkpoint: checkpoint)))
            }
        }
    }

    func training(_ report: TrainingReport, round: Int64, from worker: Int64) throws {
        guard let job = active, job.rounds.round == round, case .running(let members) = job.rounds.state, members.contains(worker) else { return }
        switch report {
        case .progress(let step, let epoch, let steps, let rate, let loss):
            active!.progress = (step, epoch, steps, rate * Double(job.description.train?.batch ?? 1), loss)
        case .checkpoint(let digest, let step, let metrics):
            let old = try ledger.checkpoint(job.id)?.digest
            try ledger.recordCheckpoint(job.id, digest: digest, step: step, round: round, metrics: metrics)
            if let old, old != digest { blobs.remove(old) }
            active!.rounds.progressed()
            if let metrics, metrics.epoch == job.description.train?.epochs, job.stage == .train { try enter(.evaluate) }
        case .finished(let digest, let test, let truncated):
            try ledger.recordCheckpoint(job.id, digest: digest, step: .max, round: round, metrics: nil)
            try ledger.setTest(job.id, test)
            if truncated > 0 { try addNotes(["\(truncated) values beyond the padding were left out of the features"]) }
            do {
                if let record = try ledger.job(job.id) { _ = try makeBundle(record) }
            } catch { return try finish(.failed, error: "the model cannot be bundled: \(error)") }
            if let action = active!.rounds.end() { try perform(action) }
            try enter(JobStage.evaluate.next(for: job.description))
        case .failed(let reason, let fatal):
            log.warning("job \(job.id): round \(round): \(workers[worker]?.name ?? "?"): \(reason)")
            if fatal { return try finish(.failed, error: reason) }
            if let action = active!.rounds.membershipChanged(now: Self.now(), failure: reason) { try perform(action) }
        }
    }
}
