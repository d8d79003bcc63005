import Features

/// What a served model takes of memory, estimated before it is allocated. Sums that do not fit an `Int` are `Int.max`.
package struct ModelFootprint: Sendable, Equatable {
    /// Bytes that are there as long as the model is: parameters, normalisation, the features' names.
    package var resident: Int
    /// Bytes that each call computes with.
    package var workspace: Int
    /// Calls at once.
    package var calls: Int

    /// All bytes together.
    package var total: Int { Self.sum(resident, Self.product(workspace, calls)) }

    /// The times its size that a bundle takes while it is loaded: its documents, the decoded ONNX file, the parameters,
    /// and what `export` would write of them, for comparison.
    private static let loadingFactor = 6
    /// The times its size that a schema takes while its JSON, and that of the ONNX file's features, is decoded.
    private static let schemaFactor = 32

    /// Bytes that are needed for a while to load a bundle, whatever it holds.
    ///
    /// - Parameter bundle: its size in bytes.
    package static func loading(bundle: Int) -> Int { product(bundle, loadingFactor) }

    /// Bytes that are needed for a while to decode a bundle's schema.
    ///
    /// - Parameter schema: the size of `schema.json` in bytes.
    package static func decoding(schema: Int) -> Int { product(schema, schemaFactor) }

    /// Bytes of the names of the flat features, and of a table from name to index. Nothing is allocated for them.
    static func names(_ schema: DataSchema) -> Int {
        schema.inputs.filter { $0.kind == .flat }.flatMap(\.channels).reduce(0) { total, channel in
            // Two strings' headers, an entry of a table that is half empty, and `[16777215]`.
            sum(total, product(channel.width, sum(channel.branch.utf8.count, 128)))
        }
    }

    static func sum(_ first: Int, _ second: Int) -> Int {
        let (result, overflow) = first.addingReportingOverflow(second)
        return overflow ? .max : result
    }

    static func product(_ first: Int, _ second: Int) -> Int {
        let (result, overflow) = first.multipliedReportingOverflow(by: second)
        return overflow ? .max : result
    }
}
