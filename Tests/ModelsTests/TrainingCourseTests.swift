import Cluster
import Models
import Testing

@Suite struct TrainingCourseTests {
    private func metrics(loss: Double, auc: Double? = nil) -> PartMetrics {
        PartMetrics(events: 10, loss: loss, auc: auc, accuracy: nil)
    }

    private func state(keepsBest: Bool) throws -> TrainingState {
        let model = try NativeModel(inputs: 2, layers: [.dense(units: 1, activation: .sigmoid)])
        return TrainingState(model, SGD(.init()), seed: 1, keepsBest: keepsBest)
    }

    @Test(arguments: [true, false]) func theTrainingEndsAfterEpochsThatAreNotBetter(_ restores: Bool) throws {
        var settings = TrainingCourseSettings()
        var early = TrainingCourseSettings.EarlyStopping()
        (early.patience, early.minDelta, early.restoresBest) = (2, 0.01, restores)
        settings.earlyStopping = early
        var state = try state(keepsBest: settings.restoresBest)
        var bests: [[Float]] = []
        for (epoch, loss) in [0.9, 0.8, 0.795, 0.7, 0.7, 0.71].enumerated() {
            state.parameters[0] = Float(epoch)
            bests.append(state.parameters)
            #expect(!state.course.isOver(settings))
            state.endEpoch(epoch + 1, metrics(loss: loss), settings)
        }
        #expect(state.course.isOver(settings) && state.course.bestEpoch == 4)
        #expect(state.finalParameters == (restores ? bests[3] : bests[5]))
    }

    /// An undefined metric is no progress, and never the best.
    @Test func anUndefinedMetricIsNoProgress() throws {
        var settings = TrainingCourseSettings()
        var early = TrainingCourseSettings.EarlyStopping()
        (early.metric, early.patience) = (.auc, 2)
        settings.earlyStopping = early
        var state = try state(keepsBest: true)
        state.parameters[0] = 5
        for epoch in 1...2 { state.endEpoch(epoch, metrics(loss: 1), settings) }
        #expect(state.course.isOver(settings) && state.course.bestEpoch == 0)
        #expect(state.finalParameters == state.parameters)
    }

    @Test func aCheckpointKeepsTheCourse() throws {
        var settings = TrainingCourseSettings()
        settings.earlyStopping = .init()
        settings.schedule = .plateau(metric: .auc, factor: 0.5, patience: 0, threshold: 0)
        var state = try state(keepsBest: true)
        for (epoch, auc) in [0.6, 0.7, 0.65].enumerated() {
            state.parameters[1] = Float(epoch)
            state.endEpoch(epoch + 1, metrics(loss: 1 - auc, auc: auc), settings)
        }
        #expect(state.course.factor == 0.5 && state.course.bestEpoch == 2)
        let optimizer = SGD(.init())
        let bytes = Checkpoint.encode(state)
        let read = try Checkpoint.decode(bytes, tensors: state.tensors, optimizer, keepsBest: true)
        #expect(read == state && read.best != read.parameters)
        #expect(throws: (any Error).self) { try Checkpoint.decode(bytes, tensors: state.tensors, optimizer) }
        // What the metrics made of a state does not make two members differ.
        var other = state
        other.endEpoch(4, metrics(loss: 0.1, auc: 0.9), settings)
        #expect(other.digest == state.digest && other != state)
    }
}
