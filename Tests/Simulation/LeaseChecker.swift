import Cluster
import Scheduling

/// Stands outside of the machines: reads what the ledger is given, and checks it against the rules.
struct LeaseChecker {
    private struct Entry {
        var assignment: Assignment
        var tokens: [Token]
        var counted = false
    }

    private var tasks: [TaskID: Entry] = [:]
    /// For each job's stage and unit, the blocks that were counted.
    private var blocks: [String: [Range<Int32>]] = [:]
    private var stages: [JobID: JobStage] = [:]
    private var largestToken = Token(0)
    private(set) var counted: [LeaseName] = []

    mutating func check(_ writes: [LedgerWrite]) throws {
        for case .task(let write) in writes {
            switch write {
            case .assign(let assignment, let stage):
                try fresh(assignment.lease.token)
                guard tasks[assignment.lease.task] == nil else {
                    throw SimWrong("task \(assignment.lease.task) is cut twice")
                }
                stages[assignment.job] = stage
                tasks[assignment.lease.task] = Entry(assignment: assignment, tokens: [assignment.lease.token])
            case .reassign(let assignment):
                try fresh(assignment.lease.token)
                guard let known = tasks[assignment.lease.task], !known.counted else {
                    throw SimWrong("task \(assignment.lease.task) is assigned again after it was counted, or unknown")
                }
                tasks[assignment.lease.task]!.tokens = [assignment.lease.token]
            case .speculate(let assignment, let first):
                try fresh(assignment.lease.token)
                guard let known = tasks[assignment.lease.task], !known.counted, known.tokens.contains(first) else {
                    throw SimWrong("task \(assignment.lease.task) is assigned beside no lease")
                }
                tasks[assignment.lease.task]!.tokens = [first, assignment.lease.token]
            case .retire(let lease): tasks[lease.task]?.tokens.removeAll { $0 == lease.token }
            case .count(let receipt): try count(receipt)
            case .crash, .clear: break
            }
        }
    }

    private mutating func fresh(_ token: Token) throws {
        guard token > largestToken else { throw SimWrong("token \(token) does not grow") }
        largestToken = token
    }

    private mutating func count(_ receipt: CountedReceipt) throws {
        let lease = receipt.assignment.lease
        guard let known = tasks[lease.task] else {
            throw SimWrong("task \(lease.task) is counted and was never assigned")
        }
        guard !known.counted else { throw SimWrong("task \(lease.task) is counted twice") }
        guard known.tokens.contains(lease.token) else {
            throw SimWrong("task \(lease.task) is counted under token \(lease.token); its tokens are \(known.tokens)")
        }
        tasks[lease.task]!.counted = true
        counted.append(lease)
        let key = "\(receipt.assignment.job) \(stages[receipt.assignment.job]!) \(receipt.assignment.unit)"
        let range = receipt.assignment.extent.first..<receipt.assignment.extent.end
        guard blocks[key, default: []].allSatisfy({ !$0.overlaps(range) }) else {
            throw SimWrong("blocks \(range) of \(key) are counted twice")
        }
        blocks[key, default: []].append(range)
    }

    /// The ledger is the same after a crash: an acknowledged receipt must have been counted.
    func wasCounted(_ lease: LeaseName) -> Bool { tasks[lease.task]?.counted == true }
}
