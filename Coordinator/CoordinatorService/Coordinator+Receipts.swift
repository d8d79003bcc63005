import Cluster
import Logging
import OrderedCollections
import Scheduling
import Wire

/// What workers report is checked before the scheduler sees it.
extension Coordinator {
    /// The events that one message stands for: a message with several receipts is as many events, each with its digest
    /// and what is wrong with it.
    func checked(_ event: Scheduler.Event) -> [Scheduler.Event] {
        guard case .message(let worker, let message, let payload) = event else { return [event] }
        if case .training(let round, let report) = message {
            guard let fault = fault(report) else { return [event] }
            log.warning("an invalid training report of worker \(worker): \(fault)")
            // The next round states again what this one knew.
            let failed = TrainingReport.failed(
                reason: "a training report is invalid: \(fault)", fatal: false, input: nil)
            return [.message(worker: worker, .training(round: round, failed), payload: payload)]
        }
        guard case .receipts(let receipts) = message else { return [event] }
        return receipts.map { receipt in
            .receipt(worker: worker, receipt, digest: ReceiptCheck.digest(receipt), unacceptable: error(in: receipt))
        }
    }

    /// What cannot be right in a training report; nil where everything can: a checkpoint must be stored before it is
    /// reported, and numbers must be such as training gives.
    private func fault(_ report: TrainingReport) -> String? {
        let steps = Int64(0)...Int64(1) << 53
        switch report {
        case .checkpoint(let digest, let step, let metrics):
            guard blobs.has(digest) else { return "its checkpoint is not at the coordinator" }
            guard steps.contains(step) else { return "its step is \(step)" }
            if let wrong = metrics.first(where: { !EvaluationCheck.isPlausible($0) }) {
                return "the metrics of epoch \(wrong.epoch) are not those of counted events"
            }
            blobs.arrived(digest)
            return nil
        case .finished(let digest, let step, let test, let truncated, let evaluation):
            guard blobs.has(digest) else { return "its checkpoint is not at the coordinator" }
            guard steps.contains(step), truncated >= 0 else { return "its step is \(step), truncated \(truncated)" }
            guard EvaluationCheck.isPlausible(test) else {
                return "the metrics of the test part are not those of counted events"
            }
            if let evaluation {
                guard evaluation.test.metrics == test else { return "its test metrics differ from those of its report" }
                if let fault = EvaluationCheck.fault(evaluation) { return "in its evaluation, \(fault)" }
            }
            blobs.arrived(digest)
            return nil
        case .progress(let step, let epoch, let stepsPerEpoch, let rate, let loss):
            let isPlausible =
                steps.contains(step) && steps.contains(stepsPerEpoch) && (0...1 << 32).contains(epoch)
                && (0...1e9).contains(rate) && loss.isFinite
            return isPlausible
                ? nil : "its progress is step \(step), epoch \(epoch), \(rate) steps/s, loss \(loss)"
        case .failed: return nil
        }
    }

    /// Why a receipt cannot be right; nil where nothing speaks against it.
    private func error(in receipt: Receipt) -> String? {
        guard let extent = core.scheduler.leases.extent(receipt.lease.task), let job = core.scheduler.jobs[extent.job]
        else { return nil }
        do {
            switch job.stage {
            case .specs:
                guard let id = extent.unit.file, let file = try files.file(id) else {
                    return "its file is not in the ledger"
                }
                let boundaries = file.boundaries(extent)
                try ReceiptCheck.specs(receipt, boundaries: boundaries, branches: try files.plan(job.id).branches)
                count(receipt, job.id, file, boundaries)
            case .survey: try ReceiptCheck.survey(receipt)
            case .list: try ReceiptCheck.list(receipt)
            case .queued, .train, .evaluate, .publish, .done, .failed, .cancelled:
                return "its job is in the stage \(job.stage.rawValue), which has no tasks"
            }
            return nil
        } catch { return "\(error)" }
    }

    /// Adds a receipt that will be counted to its site's traffic.
    private func count(_ receipt: Receipt, _ job: JobID, _ file: GrantCache.Entry, _ boundaries: ArraySlice<Int64>) {
        guard case .counted(let bytes, _) = receipt.result, core.scheduler.leases.check(receipt.lease) == .count,
            let first = boundaries.first, let end = boundaries.last
        else { return }
        traffic[job]?.add(site: file.site, events: end - first, bytes: Int64(max(0, min(bytes, 1 << 50))))
    }
}
