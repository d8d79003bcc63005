import Bytes
import Cluster
import Models
import Testing

/// What a training takes of a member's memory, against numbers that were added up by hand.
@Suite struct TrainingMemoryTests {
    private func plan(
        _ layers: [JobDescription.Layer], batch: Int, _ optimizer: JobDescription.Optimizer, best: Bool = false
    ) -> TrainingPlan {
        var training = JobDescription.Training()
        (training.layers, training.batch, training.optimizer) = (layers, batch, optimizer)
        if best { training.course.earlyStopping = .init() }
        return TrainingPlan(training, seed: 0)
    }

    @Test func eachPartIsCounted() throws {
        let layers: [JobDescription.Layer] = [
            .dense(units: 32, activation: .linear), .dense(units: 1, activation: .linear),
        ]
        let parameters = 16.0 * 32 + 32 + 32 + 1
        // Lines of 16, 32 and 16 floats, values and gradients, one score, and 16 features of the batch.
        let sample = 4.0 * (2 * (16 + 32 + 16) + 1 + 16)
        let metrics = 8.0 * Double(MetricSums(Loss(outputs: 1), detail: .report).count)
        let adam = try plan(layers, batch: 1000, .adam(.init(learningRate: 0.1))).memory(inputs: 16, lanes: 8)
        #expect(adam.sharedBytes == 3 * 4 * parameters * 3 + 16 * parameters + 3 * metrics + sample * 1008)
        // The packed panels of either layer are 512 floats.
        #expect(adam.threadBytes == 12 * parameters + metrics + sample * 256 + 4 * 512)
        #expect(adam.bytes(threads: 3) == adam.sharedBytes + 3 * adam.threadBytes)
        #expect(adam.bytes(threads: 100) == adam.bytes(threads: 8) && adam.bytes(threads: 0) == adam.bytes(threads: 1))
        let plain = try plan(layers, batch: 1000, .sgd(.init(learningRate: 0.1))).memory(inputs: 16, lanes: 8)
        #expect(adam.sharedBytes - plain.sharedBytes == 2 * 12 * parameters)
        let best = try plan(layers, batch: 1000, .sgd(.init(learningRate: 0.1)), best: true).memory(
            inputs: 16, lanes: 8)
        #expect(best.sharedBytes - plain.sharedBytes == 12 * parameters)
    }

    /// Nothing of this size is allocated to find that it is too large.
    @Test func whatIsTooLargeIsNamed() throws {
        let adam = JobDescription.Optimizer.adam(.init(learningRate: 0.1))
        let wide = plan(
            [.dense(units: 65_536, activation: .relu), .dense(units: 65_536, activation: .relu)], batch: 1, adam)
        #expect(throws: InputError.self) { try wide.memory(inputs: 1, lanes: 8) }
        let batch = plan([.dense(units: 65_536, activation: .linear)], batch: 10_000_000, adam)
        let memory = try batch.memory(inputs: 1, lanes: 8)
        let excess = try #require(memory.excess)
        #expect(excess.code == .limit && excess.expected == "at most 64.0 GiB" && excess.hint != nil)
        #expect(excess.found?.hasPrefix("about ") == true)
        let small = plan([.dense(units: 10, activation: .linear)], batch: 100, adam)
        #expect(try small.memory(inputs: 1000, lanes: 8).excess == nil)
    }

    @Test func bytesAreShownInGibibytes() {
        #expect(TrainingMemory.text(0) == "0.0 GiB" && TrainingMemory.text(1) == "0.1 GiB")
        #expect(TrainingMemory.text(64 * 1_073_741_824) == "64.0 GiB")
        #expect(TrainingMemory.text(1e300).hasPrefix("more than"))
    }
}
