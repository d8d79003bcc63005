import Cluster
import ConfigurationFiles
import Yams

extension JobFileParser {
    mutating func job(_ root: Node) -> JobDescription {
        let keys = [
            "name", "tree", "datasets", "branches", "features", "chunk", "split", "train", "publish", "label_branch",
            "target", "on_error", "verify", "credentials", "priority", "workers",
        ]
        let fields = fields(root, "job", known: keys, required: ["name", "datasets"])
        var job = JobDescription(name: text(fields["name"], "name") ?? "", datasets: [])
        job.labelBranch = text(fields["label_branch"], "label_branch")
        if let node = fields["target"] { job.target = target(node) }
        let tree = text(fields["tree"], "tree")
        let isLabelled = job.labelBranch == nil && fields["target"] == nil && fields["train"] != nil
        if let node = fields["datasets"] { job.datasets = datasets(node, tree: tree, labelled: isLabelled) }
        if let node = fields["target"] {
            let labelled = job.datasets.filter { $0.label != nil }.map(\.name)
            if fields["label_branch"] != nil || !labelled.isEmpty {
                fail(
                    node,
                    """
                    target: an event has either a target or a class; leave out \
                    \(labelled.isEmpty ? "label_branch" : "the label of \(labelled.joined(separator: ", "))")
                    """)
            }
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
            job.train = training(node, onTarget: fields["target"] != nil)
            let labels = Set(job.datasets.compactMap(\.label))
            if isLabelled, labels.count < 2, let datasets = fields["datasets"] {
                fail(datasets, "datasets: training needs at least two classes; found the labels \(labels.sorted())")
            }
        }
        if let node = fields["publish"] {
            job.publish = publish(node)
            if fields["train"] == nil { fail(node, "publish: there is nothing to publish without train") }
        }
        return job
    }

    /// A branch's name, or a mapping with it.
    private mutating func target(_ node: Node) -> JobDescription.Target? {
        guard node.mapping != nil else { return text(node, "target").map { .init(branch: $0) } }
        let fields = fields(node, "target", known: ["branch", "normalise"], required: ["branch"])
        guard let branch = text(fields["branch"], "target: branch") else { return nil }
        var target = JobDescription.Target(branch: branch)
        target.normalise =
            choice(fields["normalise"], "target: normalise", JobDescription.Target.Normalise.self) ?? .standard
        return target
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
        guard !hasControlCharacter(file) else {
            let shown = withoutControlCharacters(file)
            fail(node, "files: expected a path or URL without control characters; found \(shown)")
            return nil
        }
        if file.contains("://") || file.hasPrefix("/") || file.hasPrefix("lfn:") || file.hasPrefix("file:/") {
            return file
        }
        for home in ["~", "$HOME", "${HOME}"] where file == home || file.hasPrefix(home + "/") {
            guard let homeDirectory, homeDirectory.hasPrefix("/") else {
                fail(node, "files: \(file): only beamline submit knows what \(home) is; expected an absolute path")
                return nil
            }
            return homeDirectory + file.dropFirst(home.count)
        }
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

    private mutating func publish(_ node: Node) -> JobDescription.Publish {
        let fields = fields(node, "publish", known: ["model", "nodes"], required: ["model", "nodes"])
        let model = text(fields["model"], "publish: model")
        if let node = fields["model"], let model, !ModelName.isValid(model) {
            fail(node, "publish: model: expected \(ModelName.expected); found \(model.debugDescription)")
        }
        let nodes = (texts(fields["nodes"], "publish: nodes") ?? []).map {
            $0.hasPrefix("http://") && $0.hasSuffix("/") ? String($0.dropLast()) : $0
        }
        if let node = fields["nodes"] {
            if nodes.isEmpty { fail(node, "publish: nodes: expected at least one \(InferenceNodeURL.expected)") }
            for name in nodes where !InferenceNodeURL.isValid(name) {
                fail(
                    node,
                    "publish: nodes: expected \(InferenceNodeURL.expected); found \(name.debugDescription)")
            }
        }
        return .init(model: model ?? "", nodes: nodes)
    }
}
