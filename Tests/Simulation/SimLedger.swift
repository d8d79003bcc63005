import Cluster
import OrderedCollections
import Scheduling
import Specs

/// A ledger in memory that keeps to the rules of the real one, on a disk that can fail.
// SAFETY: a ledger belongs to one `World`, and is used only on the thread of the call of `simulate` that made the
// world.
final class SimLedger: LedgerStore, @unchecked Sendable {
    struct Full: Error, CustomStringConvertible { var description: String { "no space left on the simulated disk" } }
    /// The coordinator dies in the middle of a commit; whether it was done nobody knows.
    struct Died: Error {}

    struct File {
        var id: FileID
        var dataset: Int
        var url: String
        var survey: Survey?
        var cuts: [Int32] = []
        var skipped: String?
        var partial: [(first: Int32, specs: [UInt8])] = []
        var folded: FoldedSpecs?
    }

    struct Task {
        var stage: JobStage
        var unit: UnitID
        var first: Int32
        var end: Int32
        var token: Token?
        var second: Token?
        var attempts = 1
        var crashes = 0
        var counted: Token?
        var digest = ""
    }

    struct Job {
        var description: JobDescription
        var stage = JobStage.queued
        var error: String?
        var paused = false
        var round: RoundNumber?
        var files: [File] = []
        var tasks: OrderedDictionary<TaskID, Task> = [:]
        var checkpoint: StoredCheckpoint?
        var epochs: [Int: EpochMetrics] = [:]
        var bundle: String?
        var published: [String] = []
    }

    private(set) var jobs: OrderedDictionary<JobID, Job> = [:]
    private var nextFile = FileID(1)
    private var lastTask = TaskID(0)
    private var life: Int64 = 0
    /// Nothing can be written.
    var isFull = false
    /// The next commit kills the coordinator: after it was done (true) or before.
    var dies: Bool?
    /// The coordinator is gone: what it still does has no effect.
    var isDead = false
    /// Faults of the ledger itself, to see that the checkers find them.
    var planted: PlantedFault?
    private var hasPlanted = false
    /// Sees each batch that is committed.
    var onCommit: (([LedgerWrite]) throws -> Void)?
    /// What a checker found in the midst of a commit.
    var wrong: (any Error)?

    /// A second ledger that is given the same, and must give the same answers.
    var mirror: LedgerMirror?

    func add(_ description: JobDescription) -> JobID {
        let id = JobID(jobs.count + 1)
        jobs[id] = Job(description: description)
        if let mirror { check { try mirror.add(description) == id ? nil : "another number than \(id) for a job" } }
        return id
    }

    /// Compares the second ledger's answer with this one's.
    func check(_ difference: () throws -> String?) {
        do { if let text = try difference() { wrong = wrong ?? SimWrong("the second ledger has \(text)") } } catch {
            wrong = wrong ?? SimWrong("the second ledger throws \(error)")
        }
    }

    func commit(_ writes: [LedgerWrite], at time: Double) throws {
        if isDead { throw Died() }
        if isFull { throw Full() }
        let dies = dies
        self.dies = nil
        isDead = dies != nil
        if dies == false { throw Died() }
        let before = jobs
        do {
            try onCommit?(writes)
            for write in writes { try apply(write) }
        } catch {
            wrong = error
            jobs = before
            throw error
        }
        if let mirror {
            check {
                try mirror.store.commit(writes, at: time)
                return nil
            }
        }
        if dies != nil { throw Died() }
    }

    private func apply(_ write: LedgerWrite) throws {
        switch write {
        case .task(let write): try apply(write)
        case .file(let file, let write): apply(write, to: file)
        case .job(let job, let write): try apply(write, to: job)
        case .story: break
        }
    }

    private func apply(_ write: TaskWrite) throws {
        switch write {
        case .assign(let assignment, let stage):
            jobs[assignment.job]!.tasks[assignment.lease.task] = Task(
                stage: stage, unit: assignment.unit, first: assignment.extent.first, end: assignment.extent.end,
                token: assignment.lease.token)
        case .reassign(let assignment):
            change(assignment.lease.task) {
                ($0.token, $0.second, $0.attempts) = (assignment.lease.token, nil, $0.attempts + 1)
            }
        case .speculate(let assignment, let first):
            change(assignment.lease.task) { ($0.token, $0.second) = (first, assignment.lease.token) }
        case .count(let receipt): try count(receipt)
        case .retire(let lease):
            change(lease.task) { task in
                guard task.token == lease.token || task.second == lease.token else { return }
                (task.token, task.second) = (task.token == lease.token ? task.second : task.token, nil)
            }
        case .clear(let task): change(task) { $0.crashes = max(0, $0.crashes - 1) }
        case .crash(let task): change(task) { $0.crashes += 1 }
        }
    }

    private func apply(_ write: FileWrite, to file: FileID) {
        switch write {
        case .cuts(let cuts): change(file: file) { $0.cuts = cuts }
        case .skip(let reason, _):
            change(file: file) { ($0.skipped, $0.partial, $0.folded) = (reason, [], nil) }
            for job in jobs.keys where jobs[job]!.files.contains(where: { $0.id == file }) {
                forgetTasks(of: file, in: job)
            }
        case .unreadable: break
        }
    }

    private func apply(_ write: JobWrite, to job: JobID) throws {
        switch write {
        case .stage(let stage, let error):
            if !(stage == .failed || stage == .cancelled), jobs[job]!.stage != stage {
                lastTask = max(lastTask, jobs[job]!.tasks.keys.max() ?? lastTask)
                jobs[job]!.tasks = [:]
            }
            (jobs[job]!.stage, jobs[job]!.error) = (stage, error)
        case .round(let round): jobs[job]!.round = round
        case .checkpoint(let checkpoint):
            for metrics in checkpoint.metrics { jobs[job]!.epochs[metrics.epoch] = metrics }
            if checkpoint.step >= jobs[job]!.checkpoint?.step ?? 0 { jobs[job]!.checkpoint = checkpoint }
        case .bundle(let digest): jobs[job]!.bundle = digest
        case .publication(let node, _): jobs[job]!.published.append(node)
        case .paused(let paused): jobs[job]!.paused = paused
        case .branches, .plans, .notes, .test, .evaluation, .member: break
        }
    }

    private func change(_ task: TaskID, _ body: (inout Task) -> Void) {
        for job in jobs.keys where jobs[job]!.tasks[task]?.counted == nil && jobs[job]!.tasks[task] != nil {
            body(&jobs[job]!.tasks[task]!)
        }
    }

    private func change(file: FileID, _ body: (inout File) -> Void) {
        for job in jobs.keys {
            if let index = jobs[job]!.files.firstIndex(where: { $0.id == file }) { body(&jobs[job]!.files[index]) }
        }
    }

    private func forgetTasks(of file: FileID, in job: JobID) {
        lastTask = max(lastTask, jobs[job]!.tasks.keys.max() ?? lastTask)
        jobs[job]!.tasks.removeAll { $0.value.unit == .file(file) }
    }

    private func count(_ receipt: CountedReceipt) throws {
        let assignment = receipt.assignment
        guard var task = jobs[assignment.job]?.tasks[assignment.lease.task],
            task.counted == nil || planted == .noFencing,
            task.token == assignment.lease.token || task.second == assignment.lease.token || planted == .noFencing
        else { throw SimWrong("the ledger is to count \(assignment.lease), whose token is not the task's") }
        (task.counted, task.digest) = (assignment.lease.token, receipt.digest)
        jobs[assignment.job]!.tasks[assignment.lease.task] = task
        switch receipt.result {
        case .listed(let files, _):
            guard case .pattern(let pattern) = assignment.unit else { return }
            let dataset = jobs[assignment.job]!.description.patterns[pattern].dataset
            for file in files
            where !jobs[assignment.job]!.files.contains(where: { $0.url == file.url && $0.dataset == dataset }) {
                jobs[assignment.job]!.files.append(File(id: nextFile, dataset: dataset, url: file.url))
                nextFile = nextFile.next
            }
        case .surveyed(let survey): if let file = assignment.unit.file { change(file: file) { $0.survey = survey } }
        case .counted:
            guard let id = assignment.unit.file else { return }
            var times = 1
            if let planted, !hasPlanted, planted == .dropReceipt || planted == .countTwice {
                hasPlanted = true
                times = planted == .dropReceipt ? 0 : 2
            }
            if receipt.completes { forgetTasks(of: id, in: assignment.job) }
            change(file: id) { file in
                for _ in 0..<times { file.partial.append((assignment.extent.first, receipt.specs)) }
                guard receipt.completes else { return }
                file.folded = try? FoldedSpecs(file.partial.sorted { $0.first < $1.first }.map(\.specs))
                file.partial = []
            }
        case .failed: break
        }
    }

    func counted(_ task: TaskID) throws -> (token: Token, digest: String)? {
        let own = known(task)
        if let mirror {
            check {
                try mirror.store.counted(task).map { "\($0)" } == own.map { "\($0)" }
                    ? nil : "another receipt of task \(task)"
            }
        }
        return own
    }

    private func known(_ task: TaskID) -> (token: Token, digest: String)? {
        for job in jobs.values {
            if let task = job.tasks[task], let token = task.counted { return (token, task.digest) }
        }
        return nil
    }

    func restore() throws -> Restored {
        life += 1
        var restored = Restored()
        restored.nextToken = Token(life << 36 + 1)
        restored.nextTask = max(lastTask, jobs.values.flatMap(\.tasks.keys).max() ?? lastTask).next
        restored.nextRound = (jobs.values.compactMap(\.round).max() ?? RoundNumber(0)).next
        for (id, job) in jobs where !job.stage.isFinal {
            var live = RestoredJob(id: id, description: job.description, stage: job.stage, paused: job.paused)
            (live.round, live.checkpoint, live.epochs) = (job.round, job.checkpoint, job.epochs.keys.max() ?? 0)
            var units = units(job)
            live.unitCount = units.count
            if job.stage == .specs {
                units.removeAll { unit in job.files.contains { .file($0.id) == unit.id && $0.folded != nil } }
            }
            for (number, task) in job.tasks {
                if let index = units.firstIndex(where: { $0.id == task.unit }) {
                    units[index].next = max(units[index].next, units[index].cuts.count { $0 <= task.end })
                }
                guard task.counted == nil else { continue }
                live.tasks.append(
                    OpenTask(
                        id: number, extent: TaskExtent(job: id, unit: task.unit, first: task.first, end: task.end),
                        token: task.token, secondToken: task.second, attempts: task.attempts, crashes: task.crashes))
            }
            live.units = units.filter { unit in
                unit.next < unit.cuts.count || live.tasks.contains { $0.extent.unit == unit.id }
            }
            restored.jobs.append(live)
        }
        if let mirror { check { Self.difference(restored, try mirror.store.restore()) } }
        return restored
    }

    /// In what only a ledger knows: the queues' names and the largest tasks come from elsewhere.
    private static func difference(_ own: Restored, _ other: Restored) -> String? {
        func bare(_ job: RestoredJob) -> RestoredJob {
            var job = job
            job.units = job.units.map { WorkUnit(id: $0.id, sites: [], cuts: $0.cuts, next: $0.next) }.sorted {
                $0.id < $1.id
            }
            job.tasks.sort { $0.id < $1.id }
            job.maxBlocks = 0
            job.checkpoint?.metrics = []
            return job
        }
        if own.nextTask != other.nextTask || own.nextRound != other.nextRound {
            return
                """
                task \(other.nextTask) and round \(other.nextRound) as its next, not \(own.nextTask) and \
                \(own.nextRound)
                """
        }
        let (mine, others) = (own.jobs.map(bare), other.jobs.map(bare))
        guard mine.map(\.id) == others.map(\.id) else { return "the jobs \(others.map(\.id)), not \(mine.map(\.id))" }
        for (a, b) in zip(mine, others) where a != b {
            var (a, b) = (a, b)
            a.description = JobDescription(name: "", datasets: [])
            b.description = a.description
            return "\(b), not \(a)"
        }
        return nil
    }

    func units(_ job: Job) -> [WorkUnit] {
        switch job.stage {
        case .list: job.description.patterns.indices.map { WorkUnit(id: .pattern($0), sites: ["s0"]) }
        case .survey, .specs:
            job.files.filter { $0.skipped == nil && (job.stage == .survey || !$0.cuts.isEmpty) }.sorted {
                ($0.dataset, $0.url) < ($1.dataset, $1.url)
            }.map {
                WorkUnit(id: .file($0.id), sites: [Self.site($0.url)], cuts: job.stage == .survey ? [1] : $0.cuts)
            }
        case .queued, .train, .evaluate, .publish, .done, .failed, .cancelled: []
        }
    }

    static func site(_ url: String) -> String { String(url.split(separator: "/")[1]) }
}

extension SimLedger: PlanningView {
    func description(of job: JobID) throws -> JobDescription? { jobs[job]?.description }

    func files(of job: JobID) throws -> [PlannedFile] {
        (jobs[job]?.files ?? []).sorted { ($0.dataset, $0.url) < ($1.dataset, $1.url) }.map {
            PlannedFile(
                id: $0.id, dataset: $0.dataset, urls: [$0.url], survey: $0.survey, isSkipped: $0.skipped != nil)
        }
    }

    func maxBlocks(branches: Int) -> Int32 { .max }
}

/// What can be broken on purpose.
public enum PlantedFault: String, CaseIterable, Sendable {
    case noFencing, dropReceipt, countTwice, stepTwice, dropEpoch
}

/// A checker found something.
struct SimWrong: Error, CustomStringConvertible {
    var description: String
    init(_ text: String) { description = text }
}

/// A ledger beside the simulated one.
// SAFETY: a mirror is given to one call of `simulate`, whose ledger calls the closures and the store on that call's
// thread.
package struct LedgerMirror: @unchecked Sendable {
    let store: any LedgerStore
    let add: (JobDescription) throws -> JobID
    /// The folded specs of a job's files, one after another.
    let folded: (JobID) throws -> [FoldedSpecs]

    package init(
        store: any LedgerStore, add: @escaping (JobDescription) throws -> JobID,
        folded: @escaping (JobID) throws -> [FoldedSpecs]
    ) {
        (self.store, self.add, self.folded) = (store, add, folded)
    }
}
