package import Bytes
package import Models

/// One loaded version of a model.
package final class ServedModel: Sendable {
    package let version: Int64
    package let predictor: any Predictor
    private let featureIndices: [String: Int]
    /// The memory that it takes, until the last request that uses it is answered.
    // UNUSED: in the code; the memory is given back when it goes away.
    private let reservation: ModelMemory.Reservation?

    init(version: Int64, predictor: any Predictor, reservation: ModelMemory.Reservation?) {
        self.version = version
        self.predictor = predictor
        self.reservation = reservation
        featureIndices = Dictionary(
            predictor.features.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// A feature's index in the flat input; nil where the model has no such feature.
    func index(of feature: String) -> Int? { featureIndices[feature] }

    /// Computes the answer to a request.
    ///
    /// - Throws: `InputError` where the request does not fit the model, or its scores are not finite.
    package func predict(_ inputs: [NamedTensor]) throws(InputError) -> [NamedTensor] {
        let outputs = try predictor.predict(inputs)
        guard outputs.allSatisfy({ $0.values.allSatisfy(\.isFinite) }) else {
            throw InputError(.input, "the values are too large for the model: its score is not a number")
        }
        return outputs
    }

    /// Asks for the scores of an empty event: the first answer allocates and chooses kernels, which no client should
    /// wait for.
    func warm() throws(InputError) {
        let inputs = predictor.inputs.map { input in
            NamedTensor(
                name: input.name, shape: [1] + input.shape, values: .init(repeating: .nan, count: input.count))
        }
        do throws(InputError) { _ = try predict(inputs) } catch {
            throw InputError(
                .corrupt, "the model cannot score an empty event", expected: "finite scores", found: error.description)
        }
    }
}
