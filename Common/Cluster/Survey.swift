/// What a survey learned of one file's tree.
package struct Survey: Codable, Sendable, Equatable {
    package static let newestFormat = 1
    private let format = Self.newestFormat

    package var bytes: Int
    package var identity: String
    /// What distinguishes the content of a local file from an earlier one; nil of a file at a site.
    package var version: FileVersion?
    /// The site's checksum, where it was asked for.
    package var adler32: String?
    package var entries: Int64
    /// The boundaries of the tree's blocks, entry numbers: one more than blocks.
    package var boundaries: [Int64]
    /// Those block boundaries that are boundaries of clusters too.
    package var clusters: [Int64]
    package var branches: [SurveyedBranch]

    package init(
        bytes: Int, identity: String, adler32: String? = nil, entries: Int64, boundaries: [Int64], clusters: [Int64],
        branches: [SurveyedBranch]
    ) {
        self.bytes = bytes
        self.identity = identity
        self.adler32 = adler32
        self.entries = entries
        self.boundaries = boundaries
        self.clusters = clusters
        self.branches = branches
    }
}

/// One branch as the survey saw it.
package struct SurveyedBranch: Codable, Sendable, Equatable {
    package var name: String
    package var type: String
    /// nil for a jagged branch; 1 for one number; the product of its dimensions otherwise.
    package var fixedValues: Int?
    /// Values in an item of a jagged branch.
    package var itemValues: Int
    /// Why it cannot be read; nil where it can.
    package var unsupported: String?

    package init(name: String, type: String, fixedValues: Int?, itemValues: Int, unsupported: String?) {
        self.name = name
        self.type = type
        self.fixedValues = fixedValues
        self.itemValues = itemValues
        self.unsupported = unsupported
    }
}

// MARK: Decoding: what an earlier format lacks has its default

extension Survey {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.document("a file's survey", newest: Self.newestFormat, keyedBy: CodingKeys.self)
        self.init(
            bytes: try keys.decode(Int.self, forKey: .bytes), identity: try keys.decode(String.self, forKey: .identity),
            adler32: try keys.decodeIfPresent(String.self, forKey: .adler32),
            entries: try keys.decode(Int64.self, forKey: .entries),
            boundaries: try keys.decode([Int64].self, forKey: .boundaries),
            clusters: try keys.decodeIfPresent([Int64].self, forKey: .clusters) ?? [],
            branches: try keys.decodeIfPresent([SurveyedBranch].self, forKey: .branches) ?? [])
        version = try keys.decodeIfPresent(FileVersion.self, forKey: .version)
    }
}

extension SurveyedBranch {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try keys.decode(String.self, forKey: .name), type: try keys.decode(String.self, forKey: .type),
            fixedValues: try keys.decodeIfPresent(Int.self, forKey: .fixedValues),
            itemValues: try keys.decodeIfPresent(Int.self, forKey: .itemValues) ?? 1,
            unsupported: try keys.decodeIfPresent(String.self, forKey: .unsupported))
    }
}
