package import Bytes
package import Cluster

extension TrainingPlan {
    /// What this training takes of a member's memory: parameters, the optimiser's arrays, those of the best epoch and
    /// the copies of all of them in checkpoints; the fixed-point sums of each thread and of the step; the values and
    /// gradients of all layers for the samples of a step.
    ///
    /// - Parameters:
    ///   - inputs: features of one sample.
    ///   - lanes: the job's lanes.
    /// - Throws: `InputError` with `.limit` where the model has too many parameters, with `.input` where its layers do
    ///   not fit each other.
    package func memory(inputs: Int, lanes: Int) throws(InputError) -> TrainingMemory {
        let model = try NativeModel(inputs: inputs, layers: layers)
        let layout = WorkspaceLayout(model, for: .training)
        let (single, double) = (Double(MemoryLayout<Float>.stride), Double(MemoryLayout<Int64>.stride))
        let parameters = Double(model.tensors.parameterCount)
        let arrays = Double(1 + optimizer.implementation.slots.count + (course.restoresBest ? 1 : 0))
        // The state, its checkpoint on the way out, and one that comes in.
        let state = 3 * single * parameters * arrays
        // The step's sums, and what the collective keeps of them meanwhile.
        let sums = 2 * double * parameters
        // An assembled batch beside the workspace.
        let sample = single * Double(layout.floatsPerSample + inputs)
        // Bins of scores: each thread's, the totals, what the collective keeps of them, and those of the train part.
        let metrics = double * Double(MetricSums(model.loss, detail: .report).count)
        return TrainingMemory(
            sharedBytes: state + sums + 3 * metrics + sample * Double(batch + lanes),
            threadBytes: (double + single) * parameters + metrics + single * Double(layout.scratchCount)
                + sample * Double(Self.minSamples),
            maxThreads: lanes)
    }

    /// Samples that each thread has room for at least: those of an evaluation.
    package static let minSamples = 256
}

extension TrainingMemory {
    /// The error of a training that takes more than any may, with one thread already; nil where it does not.
    package var excess: InputError? {
        let bytes = bytes(threads: 1)
        guard bytes > Self.limit else { return nil }
        return InputError(
            .limit, "the training would take too much of a worker's memory",
            expected: "at most \(Self.text(Self.limit))", found: "about \(Self.text(bytes))",
            hint: "Make the layers, the batch or the number of features smaller.")
    }
}
