import Cluster
import Scheduling

/// Stands outside of the machines: reads what the ledger is told, and holds it against the rules.
struct LeaseChecker {
    private struct Entry {
        var loan: Loan
        var tokens: [Int64]
        var counted = false
    }

    private var tasks: [Int64: Entry] = [:]
    /// For each job's stage and unit, the blocks that were counted.
    private var blocks: [String: [Range<Int32>]] = [:]
    private var stages: [Int64: JobStage] = [:]
    private var largestToken: Int64 = 0
    private(set) var counted: [LeaseName] = []

    mutating func check(_ writes: [LedgerWrite]) throws {
        for write in writes {
            switch write {
            case .lend(let loan, let stage):
                try fresh(loan.lease.token)
                guard tasks[loan.lease.task] == nil else { throw SimWrong("task \(loan.lease.task) is cut twice") }
                stages[loan.job] = stage
                tasks[loan.lease.task] = Entry(loan: loan, tokens: [loan.lease.token])
            case .lendAnew(let loan):
                try fresh(loan.lease.token)
                guard let known = tasks[loan.lease.task], !known.counted else {
                    throw SimWrong("task \(loan.lease.task) is lent anew after it was counted, or unknown")
                }
                tasks[loan.lease.task]!.tokens = [loan.lease.token]
            case .lendTwice(let loan, let first):
                try fresh(loan.lease.token)
                guard let known = tasks[loan.lease.task], !known.counted, known.tokens.contains(first) else {
                    throw SimWrong("task \(loan.lease.task) is lent beside no lease")
                }
                tasks[loan.lease.task]!.tokens = [first, loan.lease.token]
            case .retire(let lease): tasks[lease.task]?.tokens.removeAll { $0 == lease.token }
            case .count(let receipt): try count(receipt)
            default: break
            }
        }
    }

    private mutating func fresh(_ token: Int64) throws {
        guard token > largestToken else { throw SimWrong("token \(token) does not grow") }
        largestToken = token
    }

    private mutating func count(_ receipt: CountedReceipt) throws {
        let lease = receipt.loan.lease
        guard let known = tasks[lease.task] else { throw SimWrong("task \(lease.task) is counted and was never lent") }
        guard !known.counted else { throw SimWrong("task \(lease.task) is counted twice") }
        guard known.tokens.contains(lease.token) else {
            throw SimWrong("task \(lease.task) is counted under token \(lease.token); its tokens are \(known.tokens)")
        }
        tasks[lease.task]!.counted = true
        counted.append(lease)
        let key = "\(receipt.loan.job) \(stages[receipt.loan.job]!) \(receipt.loan.unit)"
        let range = receipt.loan.first..<receipt.loan.end
        guard blocks[key, default: []].allSatisfy({ !$0.overlaps(range) }) else {
            throw SimWrong("blocks \(range) of \(key) are counted twice")
        }
        blocks[key, default: []].append(range)
    }

    /// The ledger is the same after a crash: an acknowledged receipt must have been counted.
    func wasCounted(_ lease: LeaseName) -> Bool { tasks[lease.task]?.counted == true }
}
