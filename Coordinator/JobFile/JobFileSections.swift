import Cluster
import ConfigurationFiles
import Yams

extension JobFileParser {
    mutating func job(_ root: Node) -> JobDescription {
        let keys = [
            "name", "tree", "datasets", "branches", "features", "chunk", "split", "train", "publish", "label_branch",
            "on_error", "verify", "credentials", "priority", "workers",
        ]
        let fields = fields(root, "job", known: keys, required: ["name", "datasets"])
        var job = JobDescription(name: text(fields["name"], "name") ?? "", datasets: [])
        job.labelBranch = text(fields["label_branch"], "label_branch")
        let tree = text(fields["tree"], "tree")
        if let node = fields["datasets"] {
            job.datasets = datasets(node, tree: tree, labelled: job.labelBranch == nil && fields["train"] != nil)
        }
        if let node = fields["branches"] { job.branches = branches(node) }
        // An older job description without the key means the smallest and largest value; new job files do not.
        job.features.normalise = .standard
        if let node = fields["features"] { job.features = features(node) }
        if let node = fields["chunk"] {
            let chunk = self.fields(node, "chunk", known: ["events"])
            job.chunkEvents = Int64(integer(chunk["events"], "chunk: events", 1...1_000_000_000) ?? 100_000)
        }
        if let node = fields["split"] { job.split = split(node) }
        job.onError = choice(fields["on_error"], "on_error", JobDescription.OnError.self) ?? .fail
        job.verify = choice(fields["verify"], "verify", JobDescription.Verify.self)
        job.credentials = choice(fields["credentials"], "credentials", JobDescription.CredentialUse.self)
        job.priority = integer(fields["priority"], "priority", -100...100) ?? 0
        if let node = fields["workers"] {
            // `most` is the older spelling.
            let limit = self.fields(node, "workers", known: ["max", "most"])
            if limit["max"] != nil, limit["most"] != nil {
                fail(node, "workers: max and most are one key; name it once")
            }
            job.maxWorkers = integer(limit["max"] ?? limit["most"], "workers: max", 1...1_000_000)
        }
        if let node = fields["train"] {
            job.train = training(node)
            let labels = Set(job.datasets.compactMap(\.label))
            if job.labelBranch == nil, labels.count < 2, let datasets = fields["datasets"] {
                fail(datasets, "datasets: training needs at least two classes; found the labels \(labels.sorted())")
            }
        }
        if let node = fields["publish"] {
            job.publish = publish(node)
            if fields["train"] == nil { fail(node, "publish: there is nothing to publish without train") }
        }
        return job
    }

    private mutating func datasets(_ node: Node, tree: String?, labelled: Bool) -> [JobDescription.Dataset] {
        guard let list = node.sequence, !list.isEmpty else {
            fail(node, "datasets: expected a list of datasets; found \(Self.kind(node))")
            return []
        }
        var names: Set<String> = []
        return list.compactMap { item in
            let fields = fields(
                item, "dataset", known: ["name", "label", "tree", "files", "weight"],
                required: labelled ? ["name", "files", "label"] : ["name", "files"])
            if let weight = fields["weight"] { fail(weight, "dataset: weight is not supported yet; leave it out") }
            guard let name = text(fields["name"], "dataset: name") else { return nil }
            if !names.insert(name).inserted { fail(item, "dataset: the name \(name) is duplicated") }
            guard let tree = text(fields["tree"], "dataset: tree") ?? tree else {
                fail(item, "dataset \(name): no tree is named, here or for the job")
                return nil
            }
            let files = (texts(fields["files"], "dataset \(name): files") ?? []).compactMap {
                absolute($0, fields["files"]!)
            }
            if let node = fields["files"], files.isEmpty { fail(node, "dataset \(name): files names no file") }
            return .init(
                name: name, label: integer(fields["label"], "dataset \(name): label", 0...999), tree: tree, files: files
            )
        }
    }

    private mutating func absolute(_ file: String, _ node: Node) -> String? {
        if file.contains("://") || file.hasPrefix("/") || file.hasPrefix("lfn:") { return file }
        guard let baseDirectory else {
            fail(node, "files: \(file) is a relative path; expected an absolute one or a URL")
            return nil
        }
        return baseDirectory + "/" + file
    }

    private mutating func branches(_ node: Node) -> JobDescription.Branches {
        let fields = fields(node, "branches", known: ["keep", "drop", "identifiers"])
        var branches = JobDescription.Branches()
        branches.keep = texts(fields["keep"], "branches: keep") ?? branches.keep
        branches.drop = texts(fields["drop"], "branches: drop") ?? []
        branches.identifiers = texts(fields["identifiers"], "branches: identifiers") ?? []
        return branches
    }

    private mutating func features(_ node: Node) -> JobDescription.Features {
        let fields = fields(node, "features", known: ["pad", "normalise", "padding"])
        var features = JobDescription.Features()
        if let pad = fields["pad"] {
            if let mapping = pad.mapping {
                for (key, value) in mapping {
                    guard let pattern = key.string, let items = integer(value, "features: pad: \(pattern)", 1...4096)
                    else { continue }
                    features.pad.append(.init(pattern: pattern, items: items))
                }
            } else if pad.string != "max" {
                fail(pad, "features: pad: expected max or a mapping like {\"Jet_*\": 8}; found \(Self.kind(pad))")
            }
        }
        features.normalise =
            choice(fields["normalise"], "features: normalise", JobDescription.Features.Normalise.self) ?? .standard
        if let padding = fields["padding"], padding.string != "mean" {
            if let value = real(padding, "features: padding", "mean or a number", { abs($0) < 1e30 }) {
                features.padding = .value(value)
            }
        }
        return features
    }

    private mutating func split(_ node: Node) -> JobDescription.Split {
        let fields = fields(node, "split", known: ["train", "validation", "test", "seed"])
        var split = JobDescription.Split()
        func share(_ value: Double) -> Bool { value >= 0 && value <= 1 }
        if fields["train"] != nil || fields["validation"] != nil || fields["test"] != nil {
            split.train = real(fields["train"], "split: train", "a share from 0 to 1", share) ?? 0
            split.validation = real(fields["validation"], "split: validation", "a share from 0 to 1", share) ?? 0
            split.test = real(fields["test"], "split: test", "a share from 0 to 1", share) ?? 0
        }
        if abs(split.train + split.validation + split.test - 1) > 1e-9 {
            fail(node, "split: the parts must add up to 1; found \(split.train + split.validation + split.test)")
        }
        if split.train <= 0 { fail(node, "split: train must be larger than 0") }
        if let seed = integer(fields["seed"], "split: seed", 0...Int.max) { split.seed = UInt64(seed) }
        return split
    }

    private mutating func training(_ node: Node) -> JobDescription.Training {
        let fields = fields(
            node, "train",
            known: [
                "lanes", "batch", "shuffle", "seed", "evaluate", "epochs", "optimizer", "loss", "model", "kernels",
            ],
            required: ["model"])
        var training = JobDescription.Training()
        training.lanes = integer(fields["lanes"], "train: lanes", 1...4096) ?? 8
        training.batch = integer(fields["batch"], "train: batch", 1...10_000_000) ?? 100
        if fields["kernels"] != nil {
            notes.append("train: kernels has no effect any more: the model's bits are the same on every processor")
        }
        if let node = fields["shuffle"] { training.shuffle = shuffle(node) }
        if let node = fields["evaluate"] { training.evaluatesTrain = evaluatesTrain(node) }
        if let seed = integer(fields["seed"], "train: seed", 0...Int.max) { training.seed = UInt64(seed) }
        training.epochs = integer(fields["epochs"], "train: epochs", 1...1_000_000) ?? 5
        if let node = fields["optimizer"] { training.optimizer = optimizer(node) ?? training.optimizer }
        if let node = fields["model"] { training.layers = layers(node) }
        let named = choice(fields["loss"], "train: loss", JobDescription.Loss.self)
        guard case .dense(let units, let activation)? = training.layers.last else {
            if let node = fields["model"] { fail(node, "train: model: the last layer must be dense") }
            return training
        }
        training.loss = named ?? (activation == .softmax ? .categorical : .binary)
        if let node = fields["loss"] ?? fields["model"] {
            checkLoss(training.loss, units: units, activation: activation, at: node)
        }
        return training
    }

    /// The parts whose metrics each epoch ends with: validation always, train where it is named.
    private mutating func evaluatesTrain(_ node: Node) -> Bool {
        let parts = node.sequence.map { $0.map { $0.string ?? "" } } ?? [node.string ?? ""]
        guard parts.contains("validation"), Set(parts).isSubset(of: ["train", "validation"]) else {
            fail(
                node,
                """
                train: evaluate: expected [validation] or [train, validation]; found \(parts.joined(separator: ", "))
                """)
            return false
        }
        return parts.contains("train")
    }

    /// `full`, or a number of samples.
    private mutating func shuffle(_ node: Node) -> JobDescription.Shuffle {
        if node.string == "full" { return .full }
        guard let samples = node.int, (1...1_000_000_000).contains(samples) else {
            let found = node.string ?? Self.kind(node)
            fail(node, "train: shuffle: expected full, or samples from 1 to 1000000000; found \(found)")
            return .automatic
        }
        return .samples(samples)
    }

    /// The last layer's shape decides which loss is computed: a job file that names another one is mistaken.
    private mutating func checkLoss(
        _ loss: JobDescription.Loss, units: Int, activation: JobDescription.Activation, at node: Node
    ) {
        let found = "\(units) units, \(activation.rawValue)"
        switch loss {
        case .binary:
            guard units != 1 || activation != .sigmoid else { return }
            fail(
                node,
                "train: binary_crossentropy needs a last layer dense: {units: 1, activation: sigmoid}; found \(found)")
        case .categorical:
            guard units < 2 || activation != .softmax else { return }
            fail(
                node,
                """
                train: categorical_crossentropy needs a last layer with softmax and a unit for each class; \
                found \(found)
                """
            )
        }
    }

    private mutating func optimizer(_ node: Node) -> JobDescription.Optimizer? {
        let name = node.string ?? node.mapping?.first?.key.string
        guard let name, ["adam", "sgd"].contains(name), node.mapping?.count ?? 1 == 1 else {
            fail(
                node,
                "train: optimizer: expected adam or sgd, as {adam: {learning_rate: 0.001}}; found \(Self.kind(node))")
            return nil
        }
        let known = name == "adam" ? ["learning_rate", "beta_1", "beta_2", "epsilon"] : ["learning_rate"]
        let fields = node.mapping.map { self.fields($0.first!.value, "train: optimizer", known: known) } ?? [:]
        func positive(_ value: Double) -> Bool { value > 0 && value <= 1000 }
        func fraction(_ value: Double) -> Bool { value >= 0 && value < 1 }
        let rate = real(fields["learning_rate"], "learning_rate", "a number above 0", positive)
        guard name == "adam" else { return .sgd(learningRate: rate ?? 0.01) }
        return .adam(
            learningRate: rate ?? 0.001,
            beta1: real(fields["beta_1"], "beta_1", "a number from 0 to below 1", fraction) ?? 0.9,
            beta2: real(fields["beta_2"], "beta_2", "a number from 0 to below 1", fraction) ?? 0.999,
            epsilon: real(fields["epsilon"], "epsilon", "a number above 0", positive) ?? 1e-7)
    }

    private mutating func layers(_ node: Node) -> [JobDescription.Layer] {
        guard let list = node.sequence, !list.isEmpty else {
            fail(node, "train: model: expected a list of layers; found \(Self.kind(node))")
            return []
        }
        return list.compactMap { layer($0) }
    }

    /// Reads one layer: a mapping with exactly one key, the layer's kind.
    private mutating func layer(_ node: Node) -> JobDescription.Layer? {
        let fields = fields(node, "layer", known: ["dense", "dropout"])
        if let mapping = node.mapping, mapping.count != 1 {
            let names = mapping.compactMap(\.key.string).joined(separator: " and ")
            fail(
                node,
                """
                layer: expected one of dense, dropout; found \
                \(mapping.isEmpty ? "an empty layer" : names + " in one layer")
                """
            )
            return nil
        }
        if let dense = fields["dense"] {
            let settings = self.fields(dense, "dense", known: ["units", "activation"], required: ["units"])
            guard let units = integer(settings["units"], "dense: units", 1...65_536) else { return nil }
            return .dense(
                units: units,
                activation: choice(settings["activation"], "dense: activation", JobDescription.Activation.self)
                    ?? .linear)
        }
        guard let dropout = fields["dropout"] else { return nil }
        return real(dropout, "dropout", "a rate from 0 to below 1", { $0 >= 0 && $0 < 1 }).map { .dropout(rate: $0) }
    }

    private mutating func publish(_ node: Node) -> JobDescription.Publish {
        let fields = fields(node, "publish", known: ["model", "nodes"], required: ["model", "nodes"])
        let model = text(fields["model"], "publish: model") ?? ""
        if let node = fields["model"], !model.utf8.allSatisfy({ $0.isNameByte }) {
            fail(
                node,
                """
                publish: model: expected letters, digits, dots, dashes and underscores; found \(model.debugDescription)
                """
            )
        }
        let nodes = texts(fields["nodes"], "publish: nodes") ?? []
        for name in nodes where !name.hasPrefix("http://") {
            fail(fields["nodes"]!, "publish: nodes: expected http://host:port; found \(name.debugDescription)")
        }
        return .init(model: model, nodes: nodes)
    }
}

extension UInt8 {
    fileprivate var isNameByte: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
