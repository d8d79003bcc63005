package import Bytes

/// The named inputs of a model and how each comes from branches; and the target that it learns, where it does.
///
/// Format 2 lists the inputs. Format 1 had no `format` key and listed the channels of what is now one flat input; it is
/// still read.
package struct DataSchema: Sendable, Equatable {
    /// The format that is written; older ones are read.
    package static let currentFormat = 2
    /// The name of the flat input of a model that has no other.
    package static let flatName = "features"

    /// In the order of the model's inputs. A sample's values are stored and its batches are laid out in this order.
    package var inputs: [InputSchema]
    /// What is learnt; nil where classes are.
    package var target: TargetSchema?

    package init(inputs: [InputSchema], target: TargetSchema? = nil) {
        self.inputs = inputs
        self.target = target
    }

    /// A schema with one flat input named `features`.
    package init(flat channels: [Channel]) {
        self.init(inputs: [InputSchema(name: Self.flatName, kind: .flat, channels: channels)])
    }

    /// All inputs' channels, in order: the branches that are read, in the order of a sample's values.
    package var channels: [Channel] { inputs.flatMap(\.channels) }

    /// Features of the flat inputs together.
    package var flatWidth: Int { inputs.reduce(0) { $0 + ($1.kind == .flat ? $1.width : 0) } }

    /// About how many bytes a sample's values take. A sequence without a length counts as one of 64 items, an image as
    /// one of 256.
    package var bytesPerSample: Int {
        inputs.reduce(0) { total, input in
            switch input.kind {
            case .flat: total + 4 * input.width
            case .sequence(let length): total + 4 * (length ?? 64) * input.width
            case .image: total + 4 * 256 * input.channels.count
            }
        }
    }

    /// The names of the flat inputs' features, in their order: `branch`, or `branch[i]` where a branch gives several.
    package var names: [String] { inputs.flatMap { $0.kind == .flat ? $0.channels.flatMap(\.names) : [] } }

    /// The branches whose values were all alike in the training part.
    package var constants: [String] { channels.filter { $0.scale == 0 }.map(\.branch) }

    /// The largest width of a channel and of an input, and the largest number of pixels.
    private static let maxWidth = 1 << 24
    private static let maxInputs = 1 << 10
    private static let maxChannels = 1 << 20

    /// A name that two features share; nil where all differ. No name is made: it costs as much as there are channels.
    package var sharedName: String? {
        /// The channels of several features, `branch[0]` and on, by their branch.
        var wide: [String: Int] = [:]
        let flat = inputs.filter { $0.kind == .flat }.flatMap(\.channels)
        for channel in flat where !channel.isSingle {
            guard wide.updateValue(channel.width, forKey: channel.branch) == nil else { return "\(channel.branch)[0]" }
        }
        var single: Set<String> = []
        for channel in flat where channel.isSingle {
            guard single.insert(channel.branch).inserted else { return channel.branch }
            let text = channel.branch.utf8
            guard text.last == UInt8(ascii: "]"), let bracket = text.lastIndex(of: UInt8(ascii: "[")) else { continue }
            let digits = String(text[text.index(after: bracket)...].dropLast()) ?? ""
            // `[07]` and `[+7]` are no feature's name.
            if let index = Int(digits), "\(index)" == digits,
                (0..<(wide[String(text[..<bracket]) ?? ""] ?? 0)).contains(index)
            {
                return channel.branch
            }
        }
        return nil
    }

    /// Checks what a decoded schema may not be relied on for: sizes, names, and that each input's channels fit its
    /// kind. Nothing is allocated for the widths that it announces.
    ///
    /// - Throws: `InputError` that names the input.
    package func validate() throws(InputError) {
        guard inputs.count <= Self.maxInputs, channels.count <= Self.maxChannels else {
            throw InputError(
                .corrupt, "a schema has too many inputs or channels",
                expected: "at most \(Self.maxInputs) inputs and \(Self.maxChannels) channels",
                found: "\(inputs.count) and \(channels.count)")
        }
        guard Set(inputs.map(\.name)).count == inputs.count else {
            throw InputError(
                .corrupt, "two inputs of a schema share a name", found: inputs.map(\.name).joined(separator: ", "))
        }
        for input in inputs { try Self.validate(input) }
        try target?.validate()
        guard flatWidth <= Self.maxWidth else {
            throw InputError(
                .corrupt, "the schema's features are too many", expected: "at most \(Self.maxWidth)",
                found: "\(flatWidth)")
        }
        if let name = sharedName {
            throw InputError(
                .corrupt, "features of the schema share names", expected: "another name for each", found: name)
        }
    }

    private static func validate(_ input: InputSchema) throws(InputError) {
        func fail(_ message: String, expected: String, found: String) -> InputError {
            InputError(.corrupt, message, object: "input \(input.name)", expected: expected, found: found)
        }
        for channel in input.channels where !(1...maxWidth).contains(channel.width) {
            throw fail(
                "the width of \(channel.branch) is invalid", expected: "1 to \(maxWidth)", found: "\(channel.width)")
        }
        switch input.kind {
        case .flat: break
        case .sequence(let length):
            try validateCollection(input, fail)
            guard length.map((1...maxWidth).contains) ?? true else {
                throw fail("the length of a sequence is invalid", expected: "1 to \(maxWidth)", found: "\(length ?? 0)")
            }
        case .image(let grid):
            try validateCollection(input, fail)
            guard input.channels.count >= 3, input.channels.allSatisfy({ $0.width == 1 }) else {
                throw fail(
                    "an image needs x, y and at least one weight", expected: "three or more channels of width 1",
                    found: "\(input.channels.count) channels")
            }
            let (pixels, overflow) = grid.height.multipliedReportingOverflow(by: grid.width)
            guard grid.height > 0, grid.width > 0, !overflow, pixels <= maxWidth else {
                throw fail(
                    "the grid of an image is invalid", expected: "1 to \(maxWidth) pixels",
                    found: "\(grid.height) x \(grid.width)")
            }
            let edges = [grid.xMin, grid.xMax, grid.yMin, grid.yMax]
            guard edges.allSatisfy(\.isFinite), (grid.xMax - grid.xMin).isFinite, (grid.yMax - grid.yMin).isFinite,
                grid.xMin < grid.xMax, grid.yMin < grid.yMax
            else {
                throw fail(
                    "the ranges of an image's grid are invalid", expected: "finite ranges that are not empty",
                    found: "\(edges)")
            }
        }
    }

    private static func validateCollection(
        _ input: InputSchema, _ fail: (String, _ expected: String, _ found: String) -> InputError
    ) throws(InputError) {
        guard let single = input.channels.first(where: { !$0.jagged }) else {
            guard input.channels.isEmpty else { return }
            throw fail("a collection needs channels", "one or more", "none")
        }
        throw fail("every channel of a sequence or an image must be jagged", "a jagged branch", single.branch)
    }
}

extension DataSchema: Codable {
    private enum CodingKeys: CodingKey { case format, inputs, target }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        let format = try keys.decodeIfPresent(Int.self, forKey: .format) ?? 1
        switch format {
        case 1: self.init(flat: try keys.decode([Channel].self, forKey: .inputs))
        case 2:
            self.init(
                inputs: try keys.decode([InputSchema].self, forKey: .inputs),
                target: try keys.decodeIfPresent(TargetSchema.self, forKey: .target))
        default:
            throw DecodingError.dataCorruptedError(
                forKey: .format, in: keys,
                debugDescription: "a data schema of format \(format) was written by a newer version of Beamline; "
                    + "this one reads formats up to \(Self.currentFormat)")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        try keys.encode(Self.currentFormat, forKey: .format)
        try keys.encode(inputs, forKey: .inputs)
        try keys.encodeIfPresent(target, forKey: .target)
    }
}
