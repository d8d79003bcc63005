/// What a user asks for: the job file's content, checked and with its defaults filled in.
package struct JobDescription: Codable, Sendable, Equatable {
    /// A named list of files that share one label and one tree.
    package struct Dataset: Codable, Sendable, Equatable {
        package var name: String
        /// The class: 0, 1, ...; nil where `labelBranch` gives it, or there is a `target`.
        package var label: Int?
        /// The path of the tree in each file.
        package var tree: String
        /// URLs, local paths, patterns and lists of them, as the job file has them.
        package var files: [String]

        package init(name: String, label: Int?, tree: String, files: [String]) {
            self.name = name
            self.label = label
            self.tree = tree
            self.files = files
        }
    }

    /// Which branches become features; names may hold `*` and `?`.
    package struct Branches: Codable, Sendable, Equatable {
        package var keep: [String] = ["*"]
        package var drop: [String] = []
        /// Branches that are never features, such as run and event numbers.
        package var identifiers: [String] = []
        package init() {}
    }

    /// How the values of the branches that are kept become the model's numbers.
    package struct Features: Codable, Sendable, Equatable {
        /// How a value x is normalised, with the statistics of the training part: `minmax` is (x - min) / (max - min),
        /// `standard` is (x - mean) / deviation.
        package enum Normalise: String, Codable, Sendable, CaseIterable { case minmax, standard }
        /// What replaces a missing value: the normalised mean of the training part, or this number, which is not
        /// normalised.
        package enum Padding: Codable, Sendable, Equatable {
            case mean
            case value(Double)
        }
        /// The number of items that each jagged branch whose name matches a pattern is padded or cut to.
        package struct Width: Codable, Sendable, Equatable {
            package var pattern: String
            package var items: Int
            package init(pattern: String, items: Int) {
                self.pattern = pattern
                self.items = items
            }
        }
        /// Jagged branches are padded to the largest multiplicity, but for the patterns named here; the first that
        /// matches holds.
        package var pad: [Width] = []
        package var normalise = Normalise.minmax
        package var padding = Padding.mean
        package init() {}
    }

    /// The shares of the entries that go to each part, which add up to 1, and the seed of the draw.
    package struct Split: Codable, Sendable, Equatable {
        package var train = 0.64
        package var validation = 0.16
        package var test = 0.20
        package var seed: UInt64 = 42
        package init() {}
    }

    /// What `train` of a job file asks for: the model, and how it is trained.
    package struct Training: Codable, Sendable, Equatable {
        /// The most layers of a model in a job file: an inference node takes no more operators than these have.
        package static let maxLayers = 400

        /// L, the number of logical streams of samples.
        package var lanes = 8
        /// About how many samples one step has, of all lanes.
        package var batch = 100
        package var epochs = 5
        package var optimizer = Optimizer.adam(AdaptiveMoments())
        package var loss = Loss.binary
        package var lossSettings = LossSettings()
        package var course = TrainingCourseSettings()
        package var layers: [Layer] = []
        package var shuffle = Shuffle.automatic
        /// Whether each epoch ends with a pass over the whole training part; otherwise its loss is that of the steps.
        package var evaluatesTrain = false
        /// The seed of initial values, the lanes' orders and dropout; nil for the split's.
        package var seed: UInt64?
        package init() {}
    }

    /// Where the finished bundle goes: the model's name, and the URLs of the inference nodes that serve it.
    package struct Publish: Codable, Sendable, Equatable {
        package var model: String
        package var nodes: [String]
        package init(model: String, nodes: [String]) {
            self.model = model
            self.nodes = nodes
        }
    }

    /// The kind of checksum by which replicas are compared with their file.
    package enum Verify: String, Codable, Sendable, CaseIterable { case adler32 }

    /// `forward`: the workers get the coordinator's bearer token while the job runs.
    package enum CredentialUse: String, Codable, Sendable, CaseIterable { case forward }

    /// What becomes of a job with a file that cannot be read: it fails, or the file is left out and reported.
    package enum OnError: String, Codable, Sendable, CaseIterable { case fail, skip }

    package static let newestFormat = 1
    private let format = Self.newestFormat

    package var name: String
    package var datasets: [Dataset]
    package var branches = Branches()
    package var features = Features()
    /// Entries of a chunk, rounded to whole blocks.
    package var chunkEvents: Int64 = 100_000
    package var split = Split()
    package var labelBranch: String?
    /// What a regression learns; nil where classes are learnt.
    package var target: Target?
    package var onError = OnError.fail
    /// Ask each replica's site for its checksum and compare.
    package var verify: Verify?
    package var credentials: CredentialUse?
    package var train: Training?
    package var publish: Publish?
    /// Jobs of a higher one come first; among equals, work is shared.
    package var priority = 0
    /// Workers that may work on it at once; nil for all.
    package var maxWorkers: Int?

    private enum CodingKeys: String, CodingKey {
        case format, name, datasets, branches, features, chunkEvents, split, labelBranch, target, onError, verify,
            credentials, train, publish, priority
        case maxWorkers = "workersMost"
    }

    /// All that is to be listed: every dataset's files, URLs or globs, in order.
    package var patterns: [(dataset: Int, pattern: String)] {
        datasets.enumerated().flatMap { index, dataset in dataset.files.map { (index, $0) } }
    }

    package init(name: String, datasets: [Dataset]) {
        self.name = name
        self.datasets = datasets
    }
}

// MARK: Decoding: what an earlier format lacks has its default

extension JobDescription {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.document("the job description", newest: Self.newestFormat, keyedBy: CodingKeys.self)
        self.init(
            name: try keys.decode(String.self, forKey: .name),
            datasets: try keys.decode([Dataset].self, forKey: .datasets))
        try keys.read(.branches, into: &branches)
        try keys.read(.features, into: &features)
        try keys.read(.chunkEvents, into: &chunkEvents)
        try keys.read(.split, into: &split)
        try keys.read(.labelBranch, into: &labelBranch)
        try keys.read(.target, into: &target)
        try keys.read(.onError, into: &onError)
        try keys.read(.verify, into: &verify)
        try keys.read(.credentials, into: &credentials)
        try keys.read(.train, into: &train)
        try keys.read(.publish, into: &publish)
        try keys.read(.priority, into: &priority)
        try keys.read(.maxWorkers, into: &maxWorkers)
    }
}

extension JobDescription.Dataset {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try keys.decode(String.self, forKey: .name),
            label: try keys.decodeIfPresent(Int.self, forKey: .label),
            tree: try keys.decode(String.self, forKey: .tree), files: try keys.decode([String].self, forKey: .files))
    }
}

extension JobDescription.Branches {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.keep, into: &keep)
        try keys.read(.drop, into: &drop)
        try keys.read(.identifiers, into: &identifiers)
    }
}

extension JobDescription.Features {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.pad, into: &pad)
        try keys.read(.normalise, into: &normalise)
        try keys.read(.padding, into: &padding)
    }
}

extension JobDescription.Split {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.train, into: &train)
        try keys.read(.validation, into: &validation)
        try keys.read(.test, into: &test)
        try keys.read(.seed, into: &seed)
    }
}

extension JobDescription.Training {
    package init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        try keys.read(.lanes, into: &lanes)
        try keys.read(.batch, into: &batch)
        try keys.read(.epochs, into: &epochs)
        try keys.read(.optimizer, into: &optimizer)
        try keys.read(.loss, into: &loss)
        try keys.read(.lossSettings, into: &lossSettings)
        try keys.read(.course, into: &course)
        try keys.read(.layers, into: &layers)
        try keys.read(.shuffle, into: &shuffle)
        try keys.read(.evaluatesTrain, into: &evaluatesTrain)
        try keys.read(.seed, into: &seed)
    }
}
