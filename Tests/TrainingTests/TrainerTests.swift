import Bytes
import Cluster
import Collectives
import Features
import Foundation
import Models
import Sampling
import Testing
import Training

/// A block's full rows and labels, by part.
struct RawBlock: Sendable {
    var rows: PartTable<[Float]>
    var labels: PartTable<[Int32]>
    var targets: PartTable<[Float]>?
}

/// What is trained on, and how.
struct Plans: Sendable {
    var data: DataPlan
    var training: TrainingPlan
    var schedule: LaneSchedule { data.schedule(training) }

    func state(_ checkpoint: [UInt8]) throws -> TrainingState {
        try Checkpoint.decode(
            checkpoint, tensors: try training.model(data.schema).tensors, training.optimizer.implementation,
            keepsBest: training.course.restoresBest)
    }

    func cache(_ rows: [RawBlock]) -> RowCache {
        RowCache(limit: 1 << 30) { (index) throws(InputError) in
            EventStore(
                data.schema, rows: rows[index].rows, labels: rows[index].labels, targets: rows[index].targets)
        }
    }
}

@Suite(.serialized) struct TrainerTests {
    static let width = 5

    /// Blocks of made-up rows; the class shifts every feature.
    private func blocks(_ sizes: [[Int]]) -> ([TrainingBlock], [RawBlock]) {
        var random = SeededRandom(seed: 9)
        var described: [TrainingBlock] = []
        var rows: [RawBlock] = []
        for (index, sizes) in sizes.enumerated() {
            let label = index % 2
            described.append(
                TrainingBlock(
                    dataset: label, label: label, input: 0, first: 0, end: Int64(sizes.reduce(0, +)),
                    rows: PartTable.make { sizes[$0.rawValue] }))
            let values = sizes.map { count in
                (0..<count * Self.width).map { index in
                    index % 17 == 3 ? Float.nan : Float(random.below(1000)) / 1000 + 0.3 * Float(label)
                }
            }
            rows.append(
                RawBlock(
                    rows: PartTable.make { values[$0.rawValue] },
                    labels: PartTable.make { .init(repeating: Int32(label), count: sizes[$0.rawValue]) }))
        }
        return (described, rows)
    }

    private func plans(
        _ sizes: [[Int]], lanes: Int = 8, batch: Int = 30, epochs: Int = 2, rate: Double = 0.01,
        deal: [[LanePiece]]? = nil
    ) -> (Plans, [RawBlock]) {
        let (blocks, rows) = blocks(sizes)
        var training = JobDescription.Training()
        (training.lanes, training.batch, training.epochs) = (lanes, batch, epochs)
        training.optimizer = .adam(.init(learningRate: rate))
        training.layers = [
            .dense(units: 16, activation: .relu), .dropout(rate: 0.2), .dense(units: 8, activation: .tanh),
            .dense(units: 1, activation: .sigmoid),
        ]
        let schema = DataSchema(flat: [
            Channel(branch: "x", width: Self.width, jagged: true, offset: 0, scale: 1, fill: 0.5)
        ])
        let pieces = deal ?? Self.deal(blocks, lanes)
        return (
            Plans(
                data: DataPlan(
                    split: .init(), labelBranch: nil, schema: schema,
                    inputs: [InputTree(FileReplicas("memory"), tree: "t", identity: "i")], blocks: blocks,
                    lanes: pieces),
                training: TrainingPlan(training, seed: JobDescription.Split().seed)),
            rows
        )
    }

    /// Every block cut evenly over all lanes.
    private static func deal(_ blocks: [TrainingBlock], _ lanes: Int) -> [[LanePiece]] {
        (0..<lanes).map { lane in
            blocks.indices.map { block in
                LanePiece(block: block, rows: blocks[block].rows.map { $0 * lane / lanes..<$0 * (lane + 1) / lanes })
            }
        }
    }

    /// Trains in one round, until the end or the given step.
    private func train(
        _ plans: Plans, _ rows: [RawBlock], members: Int, threads: Int = 1, from checkpoint: [UInt8]? = nil,
        stopAt: Int64? = nil
    ) throws -> LocalMember.Record {
        var order = Self.order(plans, members)
        if let checkpoint {
            (order.checkpoint, order.checkpointStep) = (
                "stored", try plans.state(checkpoint).step
            )
        }
        let all = (0..<members).map { _ in LocalMember(plans, rows, threads: threads, stopAt: stopAt) }
        LocalMember.run(order, all, checkpoint: checkpoint)
        for member in all {
            if case .failed(let reason, let fatal, _, _)? = member.failure {
                throw MemberLeft(reason: reason, fatal: fatal)
            }
        }
        return all[0].record
    }

    private static func order(_ plans: Plans, _ members: Int, round: Int64 = 1) -> RoundOrder {
        RoundOrder(
            job: JobID(1), round: RoundNumber(round), rank: 0, members: (0..<members).map { "m\($0)" },
            owners: plans.data.lanes.indices.map { $0 % members }, dataPlan: "data", trainingPlan: "training",
            checkpoint: nil, checkpointStep: 0, epochs: 0)
    }

    static let sizes = [[101, 20, 33], [200, 41, 50], [77, 0, 10], [150, 30, 30]]

    @Test func theModelIsTheSameBytesForAnyMembership() throws {
        let (plans, rows) = plans(Self.sizes)
        let alone = try train(plans, rows, members: 1)
        let threaded = try train(plans, rows, members: 1, threads: 2)
        let three = try train(plans, rows, members: 3)
        let two = try train(plans, rows, members: 2, threads: 2)
        #expect(alone.checkpoint == three.checkpoint)
        #expect(alone.checkpoint == two.checkpoint)
        #expect(alone.checkpoint == threaded.checkpoint)
        #expect(alone.epochs == three.epochs && alone.test == three.test)
        for set in InstructionSet.allCases where InstructionSet.use(set) == set {
            let again = try train(plans, rows, members: 1)
            #expect(again.checkpoint == alone.checkpoint && again.epochs == alone.epochs, "\(set.name)")
        }
        InstructionSet.use(.avx512)
        #expect(
            alone.epochs[0].train.events == 528 && alone.epochs[0].validation.events == 91 && alone.test?.events == 123)
        #expect(alone.epochs[1].train.loss < alone.epochs[0].train.loss)
        #expect(alone.epochs[1].train.auc == nil && alone.epochs[1].validation.auc != nil)
        var passes = plans
        passes.training.evaluatesTrain = true
        let passed = try train(passes, rows, members: 2)
        #expect(passed.checkpoint == alone.checkpoint && passed.epochs.last?.train.auc != nil)
        #expect(passed.epochs.map(\.validation) == alone.epochs.map(\.validation))
    }

    @Test func theReportIsTheSameForAnyMembership() throws {
        let (plans, rows) = plans(Self.sizes)
        let alone = try train(plans, rows, members: 1)
        let report = try #require(alone.evaluation)
        #expect(try train(plans, rows, members: 2, threads: 2).evaluation == report)
        #expect(try train(plans, rows, members: 3).evaluation == report)
        #expect(report.test.metrics == alone.test && report.test.metrics.events == 123)
        #expect(report.train.metrics.events == 528 && report.train.metrics.auc != nil)
        // Every event of a part is in its matrix and in each histogram.
        // The last epoch's training part was another pass.
        for part in [report.train, report.test] {
            let confusion = try #require(part.confusion)
            let histogram = try #require(part.histograms?.first)
            #expect(confusion.joined().reduce(0, +) == part.metrics.events)
            #expect(part.metrics.accuracy == Double(confusion[0][0] + confusion[1][1]) / Double(part.metrics.events))
            #expect(histogram.others.reduce(0, +) == confusion[0].reduce(0, +))
            #expect(histogram.own.reduce(0, +) == confusion[1].reduce(0, +))
        }
        #expect(report.outputs?.count == 1 && report.outputs?[0].roc != nil && report.outputs?[0].ownClass != nil)
    }

    /// A regression on a target in thousands, which is not normalised in one case: its sums and its report are the same
    /// for any membership, and a checkpoint in mid epoch goes on exactly.
    @Test(arguments: [JobDescription.Target.Normalise.standard, .none])
    func aTargetIsLearntTheSameForAnyMembership(_ normalise: JobDescription.Target.Normalise) throws {
        var (plans, rows) = plans(Self.sizes, epochs: 6, rate: 0.02)
        for index in rows.indices {
            rows[index].labels = rows[index].labels.map { .init(repeating: 0, count: $0.count) }
            rows[index].targets = rows[index].rows.map { values in
                (0..<values.count / Self.width).map { sample in
                    let row = values[sample * Self.width..<(sample + 1) * Self.width].map { $0.isNaN ? 0.5 : $0 }
                    return 3000 + 1000 * row[0] - 500 * row[1]
                }
            }
        }
        var target = TargetSchema(
            branch: "y", offset: 0, scale: 1, mean: 3300, deviation: 320, min: 2400, max: 4300)
        if normalise == .standard { (target.offset, target.scale) = (3300, 1 / 320) }
        plans.data.schema.target = target
        plans.training.layers = [.dense(units: 16, activation: .relu), .dense(units: 1, activation: .linear)]
        plans.training.loss = .huber
        plans.training.lossSettings.delta = normalise == .standard ? 1 : 300
        var early = TrainingCourseSettings.EarlyStopping()
        early.metric = .rmse
        plans.training.course.earlyStopping = early
        let whole = try train(plans, rows, members: 1)
        for (members, threads) in [(1, 2), (2, 2), (3, 1)] {
            let other = try train(plans, rows, members: members, threads: threads)
            #expect(other.checkpoint == whole.checkpoint && other.epochs == whole.epochs, "\(members)")
            #expect(other.evaluation == whole.evaluation)
        }
        let part = try train(plans, rows, members: 3, stopAt: 7)
        let rest = try train(plans, rows, members: 2, from: part.checkpoint)
        #expect(rest.checkpoint == whole.checkpoint && rest.test == whole.test)
        let report = try #require(whole.evaluation)
        let errors = try #require(report.test.metrics.regression)
        let residuals = try #require(report.test.regression?.residuals)
        #expect(report.test.metrics.auc == nil && report.test.metrics.accuracy == nil && report.outputs == nil)
        #expect(residuals.counts.reduce(residuals.below + residuals.above, +) == report.test.metrics.events)
        #expect(report.test.regression?.targets.reduce(0) { $0 + $1.events } == report.test.metrics.events)
        // In the target's units; what is minimised falls, and the course follows it.
        let losses = whole.epochs.map(\.validation.loss)
        #expect(try losses[losses.count - 1] < #require(losses.first))
        #expect(try plans.state(whole.checkpoint).course.stopping.value != nil)
        if normalise == .standard { #expect((errors.r2 ?? 0) > 0.8 && (errors.rmse ?? .infinity) < 150) }
        // A worker without targets does not compute on labels.
        for index in rows.indices { rows[index].targets = nil }
        #expect(throws: MemberLeft.self) { try train(plans, rows, members: 1) }
    }

    @Test func aCheckpointInMidEpochGoesOnExactly() throws {
        let (plans, rows) = plans(Self.sizes)
        let whole = try train(plans, rows, members: 1)
        let part = try train(plans, rows, members: 3, stopAt: 7)
        #expect(part.test == nil && !part.checkpoint.isEmpty)
        let rest = try train(plans, rows, members: 2, from: part.checkpoint)
        #expect(rest.checkpoint == whole.checkpoint && rest.test == whole.test)
    }

    /// A training of all kinds of layers that its metrics shape and end: the same for any membership and instruction
    /// set, and through a checkpoint in mid epoch.
    @Test func aTrainingThatFollowsItsMetricsIsTheSameForAnyMembership() throws {
        var (plans, rows) = plans(Self.sizes, epochs: 40, rate: 0.1)
        var early = TrainingCourseSettings.EarlyStopping()
        early.patience = 2
        plans.training.course.earlyStopping = early
        plans.training.course.schedule = .plateau(metric: .auc, factor: 0.5, patience: 0, threshold: 0)
        plans.training.course.clipNorm = 0.5
        plans.training.course.warmup = 0.5
        plans.training.layers = [
            .dense(units: 8, activation: .gelu), .batchNorm(momentum: 0.1, epsilon: 1e-5), .dropout(rate: 0.1),
            .dense(units: 8, activation: .silu), .add(layer: 0), .layerNorm(epsilon: 1e-5),
            .dense(units: 1, activation: .sigmoid),
        ]
        let whole = try train(plans, rows, members: 1)
        let state = try plans.state(whole.checkpoint)
        #expect(whole.epochs.count < 40 && state.course.epochs == whole.epochs.count)
        #expect(state.course.bestEpoch == whole.epochs.count - 2 && state.course.factor < 1)
        #expect(state.finalParameters != state.parameters && whole.evaluation?.epoch == state.course.bestEpoch)
        let steps = state.step / Int64(whole.epochs.count)
        for (members, threads) in [(1, 2), (2, 2), (3, 1)] {
            let other = try train(plans, rows, members: members, threads: threads)
            #expect(other.checkpoint == whole.checkpoint && other.evaluation == whole.evaluation, "\(members)")
        }
        for set in InstructionSet.allCases where InstructionSet.use(set) == set {
            #expect(try train(plans, rows, members: 1).checkpoint == whole.checkpoint, "\(set.name)")
        }
        InstructionSet.use(.avx512)
        for step in [steps + 1, 2 * steps] {
            let part = try train(plans, rows, members: 2, stopAt: step)
            let rest = try train(plans, rows, members: 3, from: part.checkpoint)
            #expect(rest.checkpoint == whole.checkpoint && rest.evaluation == whole.evaluation, "after step \(step)")
        }
        // A round broke at an epoch's end, when one member had taken its metrics and the other had not.
        let members = (0..<2).map { _ in LocalMember(plans, rows, stopAt: 2 * steps) }
        LocalMember.run(Self.order(plans, 2), members)
        var memories = members.map(\.memory)
        memories[0].state?.endEpoch(2, whole.epochs[1].validation, plans.training.course)
        #expect(memories[0].state?.course != memories[1].state?.course)
        let next = memories.map { LocalMember(plans, rows, memory: $0) }
        LocalMember.run(Self.order(plans, 2, round: 2), next)
        #expect(next[0].record.checkpoint == whole.checkpoint && next[0].record.evaluation == whole.evaluation)
        #expect(next[1].memory.state == next[0].memory.state)
    }

    /// One round of members that may have something from an earlier one; what each has afterwards.
    private func round(
        _ plans: Plans, _ rows: [RawBlock], _ memories: [LocalMember.Memory?],
        breaking: (rank: Int, step: Int64, slice: Int)? = nil
    ) -> (memories: [LocalMember.Memory?], checkpoint: [UInt8], epochs: [EpochMetrics]) {
        let members = memories.enumerated().map { rank, memory in
            LocalMember(
                plans, rows, memory: memory,
                breaking: breaking?.rank == rank ? breaking.map { ($0.step, $0.slice) } : nil)
        }
        // A sum breaks in round 1; whoever remembers it is in round 2.
        LocalMember.run(Self.order(plans, members.count, round: breaking == nil ? 2 : 1), members)
        return (members.map(\.memory), members[0].record.checkpoint, members[0].record.epochs)
    }

    @Test func aSumThatBreaksInAnySliceLosesNoStep() throws {
        var (plans, rows) = plans([[60, 10, 10], [60, 10, 10]], lanes: 6, batch: 24)
        plans.training.layers = [
            .dense(units: 400, activation: .relu), .dense(units: 500, activation: .relu),
            .dense(units: 1, activation: .sigmoid),
        ]
        let alone = try train(plans, rows, members: 1)
        var differed = 0
        // Before each of the four slices, and after the last, when the others have the sum.
        for slice in 0...4 {
            for rank in [0, 2] {
                // In the first epoch, and in its last step.
                for step in [Int64(2), plans.schedule.stepsPerEpoch - 1] {
                    let broken = round(plans, rows, [nil, nil, nil], breaking: (rank, step, slice))
                    let steps = broken.memories.map { $0?.state?.step ?? -1 }
                    #expect(steps.allSatisfy { $0 == step || $0 == step + 1 } && steps[rank] == step, "\(steps)")
                    if Set(steps).count > 1 { differed += 1 }
                    // The one whose connection broke is gone; then all three, the lost one without anything.
                    var survivors = broken.memories
                    survivors.remove(at: rank)
                    let two = round(plans, rows, survivors)
                    #expect(
                        two.checkpoint == alone.checkpoint && two.epochs == alone.epochs,
                        "slice \(slice), rank \(rank), step \(step)")
                    let three = round(plans, rows, survivors + [nil])
                    #expect(three.checkpoint == alone.checkpoint && three.epochs == alone.epochs)
                }
            }
        }
        #expect(differed >= 4, "in \(differed) of 20 broken sums the members were a step apart")
    }

    @Test func twoStatesAfterOneStepEndTheTraining() throws {
        let (plans, rows) = plans(Self.sizes)
        // Two members that trained alone to the same step, with other seeds.
        let members = [UInt64(1), 2].map { seed in
            var own = plans
            own.training.seed = seed
            let alone = LocalMember(own, rows, stopAt: 3)
            LocalMember.run(Self.order(own, 1), [alone])
            return LocalMember(plans, rows, memory: alone.memory)
        }
        LocalMember.run(Self.order(plans, 2, round: 2), members)
        var reasons: [String] = []
        for member in members {
            // The first to see it ends the round, perhaps before the other has seen it.
            guard case .failed(let reason, let fatal, nil, let lost)? = member.failure, fatal || lost == [] else {
                Issue.record("\(String(describing: member.failure))")
                continue
            }
            if fatal { reasons.append(reason) }
        }
        #expect(!reasons.isEmpty)
        for reason in reasons { #expect(reason.contains("step 3") && reason.contains("m0 and m1"), "\(reason)") }
    }

    @Test func multipliersFollowTheGradients() throws {
        // Gradients too small for 40 bits after the point: the multipliers grow, and the model is the same for any
        // membership.
        var (plans, rows) = plans([[200, 4, 4], [200, 4, 4]], epochs: 2, rate: 1e-4)
        plans.training.layers = [.dense(units: 8, activation: .tanh), .dense(units: 1, activation: .sigmoid)]
        let small = rows.map { (rows: RawBlock) in
            RawBlock(rows: rows.rows.map { $0.map { $0.isNaN ? 0 : $0 * 1e-9 } }, labels: rows.labels)
        }
        let alone = try train(plans, small, members: 1)
        let state = try plans.state(alone.checkpoint)
        #expect(state.exponents[0] > 60 && state.exponents[1] < state.exponents[0], "\(state.exponents)")
        #expect(alone.checkpoint == (try train(plans, small, members: 3)).checkpoint)
    }

    @Test func unevenLanesAndFewRows() throws {
        // 30 rows are not divisible by 7 lanes; one lane has no rows at all; some lanes have fewer rows than a batch.
        let (blocks, _) = blocks(Self.sizes)
        var pieces = Self.deal(blocks, 6)
        pieces.append([])
        let (uneven, rows) = plans(Self.sizes, lanes: 7, deal: pieces)
        #expect(try train(uneven, rows, members: 1).checkpoint == train(uneven, rows, members: 3).checkpoint)
        let (few, fewRows) = plans([[2, 1, 1], [1, 1, 1]], lanes: 8)
        let record = try train(few, fewRows, members: 1)
        #expect(record.epochs.last?.train.events == 3)
        #expect(try train(few, fewRows, members: 2).checkpoint == record.checkpoint)
    }

    @Test func anOverflowIsRepeatedCoarser() throws {
        // Rows so large that a gradient times 2^40 passes 2^51, though it is finite.
        var (plans, rows) = plans([[40, 4, 4], [40, 4, 4]], epochs: 1, rate: 1e-4)
        plans.training.layers = [.dense(units: 8, activation: .relu), .dense(units: 1, activation: .sigmoid)]
        let large = rows.map { (rows: RawBlock) in
            RawBlock(rows: rows.rows.map { $0.map { $0 * 3e7 } }, labels: rows.labels)
        }
        let alone = try train(plans, large, members: 1)
        #expect(alone.checkpoint == (try train(plans, large, members: 2)).checkpoint)
        let state = try plans.state(alone.checkpoint)
        #expect(state.exponents[0] < 40)
        #expect(state.step == 3)
    }

    @Test func aNonFiniteGradientNamesItsTensor() throws {
        let (plans, rows) = plans([[40, 4, 4], [40, 4, 4]], epochs: 1)
        let broken = rows.map { RawBlock(rows: $0.rows.map { $0.map { _ in Float.infinity } }, labels: $0.labels) }
        let error = #expect(throws: MemberLeft.self) { try train(plans, broken, members: 2) }
        #expect(error?.fatal == true && error?.reason.contains("step 0") == true)
        #expect(error?.reason.contains("lane") == true && error?.reason.contains("dense1.weights") == true)
    }

    @Test func aScoreThatIsNoNumberEndsTheTraining() throws {
        let (plans, rows) = plans([[40, 4, 4], [40, 4, 4]], epochs: 1)
        let outliers = rows.map { (rows: RawBlock) in
            RawBlock(
                rows: PartTable(
                    train: rows.rows.train, validation: rows.rows.validation.map { _ in Float.infinity },
                    test: rows.rows.test), labels: rows.labels)
        }
        let error = #expect(throws: MemberLeft.self) { try train(plans, outliers, members: 2) }
        #expect(error?.fatal == true && error?.reason.contains("validation") == true)
    }
}
