import Cluster

/// One sample of an event store.
package struct Sample: Sendable {
    package var samples: EventSamples
    /// The sample's index in its part of the block.
    package var index: Int

    package init(_ samples: EventSamples, _ index: Int) {
        precondition(index < samples.count)
        self.samples = samples
        self.index = index
    }
}

/// Makes a batch of stored samples: pads, normalises and masks them, and fills the grids of images. The values of a
/// sample depend on nothing but the sample and the schema, but for the padding of sequences without a length.
package struct BatchAssembler: Sendable {
    package let schema: DataSchema
    private let inputs: [InputAssembler]

    package init(_ schema: DataSchema) {
        self.schema = schema
        var first = 0
        inputs = schema.inputs.map { input in
            defer { first += input.channels.count }
            return InputAssembler(input, firstChannel: first)
        }
    }

    /// - Parameters:
    ///   - samples: of stores that were made with this schema.
    ///   - batch: made for this schema; its former content is replaced.
    package func assemble(_ samples: [Sample], into batch: inout Batch) {
        precondition(batch.inputs.count == inputs.count)
        batch.sampleCount = samples.count
        batch.labels.removeAll(keepingCapacity: true)
        batch.targets.removeAll(keepingCapacity: true)
        batch.weights.removeAll(keepingCapacity: true)
        batch.cursors.removeAll(keepingCapacity: true)
        batch.labels.append(contentsOf: samples.lazy.map { $0.samples.labels[$0.index] })
        if schema.target != nil {
            // A store that was made without targets has none for any sample, and the model rejects the batch.
            batch.targets.append(
                contentsOf: samples.lazy.compactMap { sample in sample.samples.targets?[sample.index] })
        }
        batch.weights.append(contentsOf: samples.lazy.map { $0.samples.weight($0.index) })
        batch.cursors.append(contentsOf: samples.lazy.map { $0.samples.start($0.index) })
        for (index, input) in inputs.enumerated() {
            input.assemble(samples, cursors: &batch.cursors, into: &batch.inputs[index])
        }
    }

    /// Assembles consecutive samples of one part.
    package func assemble(_ range: Range<Int>, of samples: EventSamples, into batch: inout Batch) {
        assemble(range.map { Sample(samples, $0) }, into: &batch)
    }
}
