import Cluster
import Collectives
import Foundation

/// What a member has when a round begins: each tells the others.
package struct RoundStatement: Codable, Sendable, Equatable {
    /// Steps applied; -1 where it has no state.
    package var step: Int64
    /// Of the whole state.
    package var digest: String
    /// Epochs that ended after the coordinator's checkpoint.
    package var epochs: [EpochMetrics]

    package init(step: Int64, digest: String, epochs: [EpochMetrics]) {
        self.step = step
        self.digest = digest
        self.epochs = epochs
    }
}

/// Where a round goes on, decided by each member from what all have said.
package enum RoundStart: Equatable, Sendable {
    /// No step was ever done.
    case beginning
    case checkpoint
    /// Of the member with this rank; the others who are behind get it from there.
    case member(rank: Int, step: Int64)

    package struct Conflict: Error, Equatable {
        package var step: Int64
        package var ranks: [Int]
    }

    /// The newest step that any of them has.
    /// - Parameter checkpoint: the step of the coordinator's; nil where there is none.
    package static func decide(_ statements: [RoundStatement], checkpoint: Int64?) throws(Conflict) -> RoundStart {
        let newest = statements.map(\.step).max() ?? -1
        for step in Set(statements.map(\.step)).sorted() where step >= 0 {
            let ranks = statements.indices.filter { statements[$0].step == step }
            if let other = ranks.first(where: { statements[$0].digest != statements[ranks[0]].digest }) {
                throw Conflict(step: step, ranks: [ranks[0], other])
            }
        }
        if let checkpoint, checkpoint >= newest {
            return newest == checkpoint && statements.allSatisfy { $0.step == newest }
                ? .member(rank: 0, step: newest) : .checkpoint
        }
        guard newest >= 0 else { return .beginning }
        return .member(rank: statements.firstIndex { $0.step == newest }!, step: newest)
    }

    /// All epochs that members know and the coordinator may not, each once.
    package static func epochs(_ statements: [RoundStatement]) -> [EpochMetrics] {
        var known: [Int: EpochMetrics] = [:]
        for metrics in statements.flatMap(\.epochs) { known[metrics.epoch] = metrics }
        return known.values.sorted { $0.epoch < $1.epoch }
    }
}

extension Communicator {
    /// Each member's statement, by rank; nil where the round was given up.
    func allGather(_ statement: RoundStatement) -> [RoundStatement]? {
        guard let body = try? JSONEncoder().encode(statement), let all = allGather("statement", [UInt8](body)) else {
            return nil
        }
        let statements = all.compactMap { try? JSONDecoder().decode(RoundStatement.self, from: Data($0)) }
        return statements.count == size ? statements : nil
    }
}
