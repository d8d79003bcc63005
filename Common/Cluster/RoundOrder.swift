/// A member's view of a training round.
package struct RoundOrder: Codable, Sendable, Equatable {
    package var job: JobID
    package var round: RoundNumber
    package var rank: Int
    /// The members' names, by rank.
    package var members: [String]
    /// For each lane, the rank that owns it.
    package var owners: [Int]
    /// The digests of the data plan and the training plan: what is trained on, and how.
    package var dataPlan: String
    package var trainingPlan: String
    /// The digest and step of the coordinator's checkpoint; nil at the beginning.
    package var checkpoint: String?
    package var checkpointStep: Int64
    /// Epochs whose metrics the coordinator has.
    package var epochs: Int

    package init(
        job: JobID, round: RoundNumber, rank: Int, members: [String], owners: [Int], dataPlan: String,
        trainingPlan: String, checkpoint: String?, checkpointStep: Int64, epochs: Int
    ) {
        self.job = job
        self.round = round
        self.rank = rank
        self.members = members
        self.owners = owners
        self.dataPlan = dataPlan
        self.trainingPlan = trainingPlan
        self.checkpoint = checkpoint
        self.checkpointStep = checkpointStep
        self.epochs = epochs
    }

    /// Whether both orders are of one job's training, in any rounds.
    package func isSameTraining(as other: RoundOrder) -> Bool {
        job == other.job && dataPlan == other.dataPlan && trainingPlan == other.trainingPlan
    }
}
