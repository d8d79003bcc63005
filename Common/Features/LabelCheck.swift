package import Bytes
package import Cluster
import Sampling

extension TrainingPlan {
    /// Checks that the model has a class for each label of a block: labels from a branch are known only when it is
    /// read.
    ///
    /// - Parameter block: the block's index in the data plan.
    package func checkLabels(_ events: EventStore, of block: Int, in data: DataPlan) throws(InputError) {
        guard let classes, let label = events.maxLabel, label >= classes else { return }
        throw InputError(
            .input, "a label has no unit in the last layer", file: data.inputs[data.blocks[block].input].file.url,
            object: data.labelBranch, expected: "labels below \(classes)", found: "\(label)")
    }
}
