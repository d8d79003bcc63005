/// Which versions a node serves and which numbers it has given: the document beside its bundles.
package struct VersionIndex: Codable, Sendable, Equatable {
    /// The format that is written.
    package static let currentFormat = 1

    /// A model's entry.
    package struct Model: Codable, Sendable, Equatable {
        package var name: String
        /// The highest number that a version was given.
        package var lastNumber: Int64
        /// The version that answers.
        package var version: Int64
        /// The SHA-256 of its bundle.
        package var digest: String

        /// Creates an entry.
        package init(name: String, lastNumber: Int64, version: Int64, digest: String) {
            self.name = name
            self.lastNumber = lastNumber
            self.version = version
            self.digest = digest
        }
    }

    /// The document's format; a higher one than `currentFormat` comes from a newer version.
    package var format = VersionIndex.currentFormat
    /// Sorted by name.
    package var models: [Model]

    /// Creates an index.
    package init(models: [Model] = []) { self.models = models }

    /// Creates the index of a table's models that answer.
    package init(_ table: ServableTable) {
        models = table.names.compactMap { name in
            table.available(name).map {
                Model(name: name, lastNumber: table.lastNumber(name), version: $0.number, digest: $0.digest)
            }
        }
    }

    /// The highest number that a version can have: one more must be possible.
    private static let maxNumber = Int64(1) << 62

    /// What is impossible in a decoded index; nil where nothing is.
    private var mistake: String? {
        guard Set(models.map(\.name)).count == models.count else { return "two models of the index share a name" }
        for model in models {
            guard model.version >= 1, model.version <= model.lastNumber, model.lastNumber <= Self.maxNumber else {
                return "the numbers of \(model.name) are impossible: \(model.version), \(model.lastNumber)"
            }
            guard Self.isDigest(model.digest) else { return "the digest of \(model.name) is none: \(model.digest)" }
        }
        return nil
    }

    /// Whether a text is a SHA-256 in lowercase hexadecimal: only then it becomes part of a path.
    package static func isDigest(_ text: some StringProtocol) -> Bool {
        text.utf8.count == 64
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    /// The index with another version of a model in it.
    package func serving(_ name: String, version: Int64, digest: String) -> VersionIndex {
        var copy = self
        let known = models.first { $0.name == name }
        copy.models.removeAll { $0.name == name }
        copy.models.append(
            Model(name: name, lastNumber: max(known?.lastNumber ?? 0, version), version: version, digest: digest))
        copy.models.sort { $0.name < $1.name }
        return copy
    }

    private enum CodingKeys: CodingKey { case format, models }

    /// Reads an index.
    ///
    /// - Throws: `DecodingError` where it is of a newer format, or names what is impossible.
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        format = try keys.decodeIfPresent(Int.self, forKey: .format) ?? 1
        guard format <= Self.currentFormat else {
            throw DecodingError.dataCorruptedError(
                forKey: .format, in: keys,
                debugDescription: "an index of format \(format) was written by a newer version of Beamline; "
                    + "this one reads formats up to \(Self.currentFormat)")
        }
        models = try keys.decodeIfPresent([Model].self, forKey: .models) ?? []
        if let mistake {
            throw DecodingError.dataCorruptedError(forKey: .models, in: keys, debugDescription: mistake)
        }
    }
}
