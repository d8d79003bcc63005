/// What a worker is to do.
package enum TaskBody: Codable, Sendable, Equatable {
    /// Expand a pattern of a dataset into files.
    case list(pattern: String)
    /// Open a file and learn what it holds.
    case survey(FileReplicas, tree: String, verify: Bool)
    case chunk(ChunkTask)

    /// What the user named.
    package var url: String {
        switch self {
        case .list(let pattern): pattern
        case .survey(let file, _, _): file.url
        case .chunk(let chunk): chunk.input.file.url
        }
    }
}

/// A tree of a surveyed file.
package struct InputTree: Codable, Sendable, Hashable {
    /// With the size that the survey found.
    package var file: FileReplicas
    package var tree: String
    package var identity: String
    /// Each replica's checksum must be the file's.
    package var verify: Bool
    /// What the survey found of a local file; nil of a file at a site. A data plan has none: the model depends on the
    /// data alone, never on when and where they were copied.
    package var version: FileVersion?

    package init(
        _ file: FileReplicas, tree: String, identity: String, verify: Bool = false, version: FileVersion? = nil
    ) {
        self.version = version
        self.file = file
        self.tree = tree
        self.identity = identity
        self.verify = verify
    }
}

/// Whole blocks of one file's tree, of which to compute partial specs, with the job's plan.
package struct ChunkTask: Codable, Sendable, Equatable {
    package var input: InputTree
    /// The blocks' boundaries: one more than blocks.
    package var boundaries: [Int64]

    package init(_ input: InputTree, boundaries: [Int64]) {
        self.input = input
        self.boundaries = boundaries
    }
}

/// What all chunks of a job share.
package struct ChunkPlan: Codable, Sendable, Equatable {
    package var branches: [String]
    package var split: JobDescription.Split

    package init(branches: [String], split: JobDescription.Split) {
        self.branches = branches
        self.split = split
    }
}

// MARK: Decoding: what an earlier format lacks has its default

extension InputTree {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try keys.decode(FileReplicas.self, forKey: .file), tree: try keys.decode(String.self, forKey: .tree),
            identity: try keys.decode(String.self, forKey: .identity))
        try keys.read(.verify, into: &verify)
        try keys.read(.version, into: &version)
    }
}
