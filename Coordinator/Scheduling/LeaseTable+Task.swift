import Cluster
import DequeModule
import OrderedCollections

/// A task and the work that it is part of.
extension LeaseTable {
    /// One lease of a task: a token, and who holds it.
    struct Lease: Sendable {
        enum Holder: Sendable, Equatable {
            case worker(WorkerID)
            /// The holder's session ended, or was another life's: it may come back. `died` is its process where its
            /// connection broke.
            case away(died: String?)
        }

        let token: Token
        var holder: Holder
        var deadline: Double
        /// When the lease was given out.
        let since: Double

        var worker: WorkerID? { if case .worker(let id) = holder { id } else { nil } }
    }

    /// An open task.
    struct Task: Sendable {
        enum State: Sendable {
            /// To be assigned again. The last token stays good until then; nil where a receipt under it was handed in
            /// and not counted.
            case waiting(last: Lapsed?)
            case assigned(Lease)
            /// Assigned to a second worker beside the first; the first receipt counts.
            case speculative(Lease, second: Lease)
        }

        /// What is remembered of a lease that ran out.
        struct Lapsed: Sendable {
            let token: Token
            let since: Double
        }

        let extent: TaskExtent
        let queue: Int
        /// Smallest chunks in it.
        let cuts: Int32
        var state: State
        var attempts = 1
        /// Workers that died with it.
        var crashes = 0
        /// Workers that could not do it.
        var failedOn: [WorkerID] = []
        var failingSince: Double?
        /// What failed rests before it is tried again, each time longer.
        var notBefore = 0.0

        /// The leases that are out, the oldest first.
        var leases: [Lease] {
            switch state {
            case .waiting: []
            case .assigned(let lease): [lease]
            case .speculative(let first, let second): [first, second]
            }
        }

        var isAssigned: Bool { if case .waiting = state { false } else { true } }

        /// The token of the oldest lease, or the last one.
        var firstToken: Token? {
            switch state {
            case .waiting(let last): last?.token
            case .assigned(let first), .speculative(let first, _): first.token
            }
        }

        var newestToken: Token? {
            switch state {
            case .waiting, .assigned: firstToken
            case .speculative(_, let second): second.token
            }
        }

        func isHeld(by worker: WorkerID) -> Bool { leases.contains { $0.worker == worker } }

        /// Whether a receipt under the token counts.
        func isLive(_ token: Token) -> Bool {
            switch state {
            case .waiting(let last): last?.token == token
            case .assigned(let lease): lease.token == token
            case .speculative(let first, let second): first.token == token || second.token == token
            }
        }

        /// Changes the lease that has the token, where it is out.
        mutating func change(_ token: Token, _ body: (inout Lease) -> Void) {
            switch state {
            case .assigned(var lease) where lease.token == token:
                body(&lease)
                state = .assigned(lease)
            case .speculative(var first, let second) where first.token == token:
                body(&first)
                state = .speculative(first, second: second)
            case .speculative(let first, var second) where second.token == token:
                body(&second)
                state = .speculative(first, second: second)
            case .waiting, .assigned, .speculative: break
            }
        }

        /// The state once the lease that has the token is taken back; nil where it is not out.
        func without(_ token: Token) -> State? {
            switch state {
            case .assigned(let lease) where lease.token == token:
                .waiting(last: Lapsed(token: lease.token, since: lease.since))
            case .speculative(let first, let second) where first.token == token: .assigned(second)
            case .speculative(let first, let second) where second.token == token: .assigned(first)
            case .waiting, .assigned, .speculative: nil
            }
        }
    }

    struct Unit: Sendable {
        var queue: Int
        var cuts: [Int32]
        var next: Int
        var open = 0

        var isComplete: Bool { open == 0 && next == cuts.count }
    }

    /// The work of one job at one set of sites.
    struct Queue: Sendable {
        let sites: [String]
        let localPath: String?
        var units: Deque<UnitID> = []
        /// Tasks to be assigned again; those that were settled meanwhile are passed over.
        var waiting: Deque<TaskID> = []
        /// Tasks that are out, speculative ones once.
        var out = 0
        /// Seconds of one smallest chunk, smoothed; nil before the first receipt.
        var seconds: Double?

        var hasWork: Bool { !units.isEmpty || !waiting.isEmpty }
    }

    /// The work of one job. The counters follow from the tasks' states and the units; `transition` and `cut` alone
    /// change them.
    struct Work: Sendable {
        var queues: [Queue] = []
        var units = IntegerMap<UnitID, Unit>()
        /// Smallest chunks that are not cut into tasks yet.
        var uncut = 0
        /// Tasks that wait to be assigned again, tasks that are out, and both.
        var waiting = 0
        var out = 0
        var open = 0
        /// Smallest chunks in all, and in open tasks.
        var allCuts = 0
        var openCuts = 0
        /// Blocks in a task at most.
        var maxBlocks: Int32 = .max
        /// Tasks in the order they were assigned, to find stragglers; stale where the token is not the task's first.
        var assignedOrder: Deque<LeaseName> = []

        /// Counts a task in (`sign` 1) or out (-1).
        mutating func count(_ task: Task, _ sign: Int) {
            countState(task, sign)
            open += sign
            openCuts += sign * Int(task.cuts)
            units.change(task.extent.unit) { $0.open += sign }
        }

        mutating func countState(_ task: Task, _ sign: Int) {
            if task.isAssigned {
                out += sign
                queues[task.queue].out += sign
            } else {
                waiting += sign
            }
        }
    }

    /// The only function that adds, removes or changes a task: what is counted, held and queued follows here.
    /// - Parameter new: nil for a task that is over.
    mutating func transition(_ id: TaskID, to new: Task?) {
        let old = tasks[id]
        guard let job = (new ?? old)?.extent.job else { return }
        switch (old, new) {
        case (let old?, let new?):
            work[job]?.countState(old, -1)
            work[job]?.countState(new, 1)
        case (let old?, nil): work[job]?.count(old, -1)
        case (nil, let new?): work[job]?.count(new, 1)
        case (nil, nil): break
        }
        let (before, after) = (old?.leases.compactMap(\.worker) ?? [], new?.leases.compactMap(\.worker) ?? [])
        for worker in before where !after.contains(worker) { unhold(id, worker) }
        for worker in after where !before.contains(worker) { hold(id, worker) }
        tasks[id] = new
        guard let new else { return }
        if !new.isAssigned, old?.isAssigned ?? true { work[job]?.queues[new.queue].waiting.append(id) }
        if new.isAssigned, let token = new.firstToken, token != old?.firstToken {
            work[job]?.assignedOrder.append(LeaseName(task: id, token: token))
        }
    }

    mutating func transition(_ id: TaskID, to state: Task.State) {
        guard var task = tasks[id] else { return }
        task.state = state
        transition(id, to: task)
    }

    private mutating func unhold(_ id: TaskID, _ worker: WorkerID) {
        // Most are done in the order in which they were assigned.
        held.change(worker) { tasks in if let index = tasks.firstIndex(of: id) { tasks.remove(at: index) } }
        if held[worker]?.isEmpty == true { held[worker] = nil }
    }

    private mutating func hold(_ task: TaskID, _ worker: WorkerID) {
        if held.change(worker, { $0.append(task) }) == nil { held[worker] = [task] }
    }
}
