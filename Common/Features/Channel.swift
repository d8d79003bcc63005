/// One branch as it feeds an input of the model, with its normalisation `(x - offset) * scale`; `fill` stands for a
/// missing value. All of it is computed in Float32.
package struct Channel: Codable, Sendable, Equatable {
    /// The branch's name in the tree.
    package var branch: String
    /// Values taken of each entry (flat input) or of each item (sequence, image); at least 1.
    package var width: Int
    /// Whether the number of items varies from entry to entry.
    package var jagged: Bool
    /// What is subtracted from each of the branch's values.
    package var offset: Float
    /// What each difference is multiplied by; 0 for a branch that was constant in the training part.
    package var scale: Float
    /// The normalised value that stands for a missing or nonfinite one.
    package var fill: Float

    package init(branch: String, width: Int, jagged: Bool, offset: Float, scale: Float, fill: Float) {
        self.branch = branch
        self.width = width
        self.jagged = jagged
        self.offset = offset
        self.scale = scale
        self.fill = fill
    }

    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        branch = try keys.decode(String.self, forKey: .branch)
        width = try keys.decodeIfPresent(Int.self, forKey: .width) ?? 1
        jagged = try keys.decodeIfPresent(Bool.self, forKey: .jagged) ?? false
        offset = try keys.decodeIfPresent(Float.self, forKey: .offset) ?? 0
        scale = try keys.decodeIfPresent(Float.self, forKey: .scale) ?? 1
        fill = try keys.decodeIfPresent(Float.self, forKey: .fill) ?? 0
    }

    /// Whether the channel is one feature of the branch's own name.
    package var isSingle: Bool { width == 1 && !jagged }

    /// The names of its features in a flat input: `branch` for a single value, `branch[i]` for several.
    package var names: [String] { isSingle ? [branch] : (0..<width).map { "\(branch)[\($0)]" } }
}
