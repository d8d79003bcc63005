package import Bytes
package import Cluster
package import Features

extension TrainingPlan {
    /// Bytes of a bundle that are left to all but the values of the model's tensors.
    private static let documentBytes = 64 << 20

    /// Checks, before anything is trained, that an inference node can take the model.
    ///
    /// - Parameter schema: the inputs that its batches have.
    /// - Throws: `InputError` with `.limit` where its bundle would be too large, and what `model(_:)` throws.
    package func checkServable(_ schema: DataSchema) throws(InputError) {
        let values = try model(schema).tensors.parameterCount + 3 * schema.flatWidth
        let most = (ModelBundle.maxBytes - Self.documentBytes) / MemoryLayout<Float>.stride
        guard values <= most else {
            throw InputError(
                .limit, "the model is too large for an inference node", expected: "at most \(most) parameters",
                found: "\(values)", hint: "Make its layers smaller, or leave publish out.")
        }
    }
}
