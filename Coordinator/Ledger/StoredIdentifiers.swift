package import Cluster
import GRDB
import Scheduling

extension JobID: DatabaseValueConvertible {}
extension FileID: DatabaseValueConvertible {}
extension TaskID: DatabaseValueConvertible {}
extension WorkerID: DatabaseValueConvertible {}
extension Token: DatabaseValueConvertible {}
extension RoundNumber: DatabaseValueConvertible {}

extension UnitID {
    /// The number that stands for the unit in the ledger; the task's stage decides what it means.
    var stored: Int64 {
        switch self {
        case .pattern(let index): Int64(index)
        case .file(let id): id.rawValue
        }
    }

    init(stored: Int64, stage: JobStage) { self = stage == .list ? .pattern(Int(stored)) : .file(FileID(stored)) }
}

extension Token {
    /// In the ledger 0 stands for no token.
    init?(stored: Int64) {
        guard stored != 0 else { return nil }
        self.init(stored)
    }
}

extension StorySubject {
    /// The numbers of the kinds of stories in the ledger; part of its format.
    private enum Kind: Int {
        case job = 0
        case task = 1
        case worker = 2
        case ledger = 3
    }

    var stored: (kind: Int, id: Int64) {
        switch self {
        case .job(let id): (Kind.job.rawValue, id.rawValue)
        case .task(let id): (Kind.task.rawValue, id.rawValue)
        case .worker(let id): (Kind.worker.rawValue, id.rawValue)
        case .ledger: (Kind.ledger.rawValue, 0)
        }
    }
}
