import Cluster
import ConfigurationFiles
import Yams

/// The optimiser and the layers of a job file.
extension JobFileParser {
    mutating func optimizer(_ node: Node, _ course: inout TrainingCourseSettings) -> JobDescription.Optimizer? {
        let name = node.string ?? node.mapping?.first?.key.string
        guard let name, ["adam", "adamw", "sgd"].contains(name), node.mapping?.count ?? 1 == 1 else {
            fail(
                node,
                """
                train: optimizer: expected adam, adamw or sgd, as {adam: {learning_rate: 0.001}}; \
                found \(node.string ?? Self.kind(node))
                """)
            return nil
        }
        let own = name == "sgd" ? ["momentum", "nesterov"] : ["beta_1", "beta_2", "epsilon"]
        let known = ["learning_rate", "reference_batch", "weight_decay"] + own
        let fields = node.mapping.map { self.fields($0.first!.value, "train: optimizer", known: known) } ?? [:]
        func positive(_ value: Double) -> Bool { value > 0 && value <= 1000 }
        func fraction(_ value: Double) -> Bool { value >= 0 && value < 1 }
        let rate = real(fields["learning_rate"], "learning_rate", "a number above 0, up to 1000", positive)
        course.referenceBatch = integer(fields["reference_batch"], "reference_batch", 1...10_000_000)
        let decay = real(fields["weight_decay"], "weight_decay", "a number from 0 to 1000", { $0 >= 0 && $0 <= 1000 })
        if name == "sgd" {
            var settings = JobDescription.GradientDescent(learningRate: rate ?? 0.01)
            settings.momentum = real(fields["momentum"], "momentum", "a number from 0 to below 1", fraction) ?? 0
            settings.nesterov = boolean(fields["nesterov"], "nesterov") ?? false
            settings.weightDecay = decay ?? 0
            if settings.nesterov, settings.momentum == 0 {
                fail(node, "train: optimizer: nesterov needs a momentum above 0")
            }
            return .sgd(settings)
        }
        var settings = JobDescription.AdaptiveMoments(learningRate: rate ?? 0.001)
        settings.beta1 = real(fields["beta_1"], "beta_1", "a number from 0 to below 1", fraction) ?? 0.9
        settings.beta2 = real(fields["beta_2"], "beta_2", "a number from 0 to below 1", fraction) ?? 0.999
        settings.epsilon = real(fields["epsilon"], "epsilon", "a number above 0", positive) ?? 1e-7
        settings.weightDecay = decay ?? (name == "adamw" ? 0.01 : 0)
        return name == "adam" ? .adam(settings) : .adamW(settings)
    }

    /// The names that layers have been given, with their layer's index.
    private typealias LayerNames = [String: Int]

    mutating func layers(_ node: Node) -> [JobDescription.Layer] {
        guard let list = node.sequence, !list.isEmpty else {
            fail(node, "train: model: expected a list of layers; found \(Self.kind(node))")
            return []
        }
        guard list.count <= JobDescription.Training.maxLayers else {
            fail(
                node,
                "train: model: expected at most \(JobDescription.Training.maxLayers) layers; found \(list.count)")
            return []
        }
        var names: LayerNames = [:]
        var layers: [JobDescription.Layer] = []
        for item in list {
            guard let layer = layer(item, names) else { continue }
            if let node = item.mapping?["name"], let name = text(node, "layer: name"),
                names.updateValue(layers.count, forKey: name) != nil
            {
                fail(node, "layer: the name \(name) is duplicated")
            }
            layers.append(layer)
        }
        return layers
    }

    private static let layerKinds = ["dense", "dropout", "activation", "batch_norm", "layer_norm", "add"]

    /// Reads one layer: a mapping with one key, the layer's kind, and perhaps its name.
    private mutating func layer(_ node: Node, _ names: LayerNames) -> JobDescription.Layer? {
        if let name = node.string, ["batch_norm", "layer_norm"].contains(name) {
            return normalisation(name, [:])
        }
        let fields = fields(node, "layer", known: Self.layerKinds + ["name"])
        let kinds = fields.keys.filter { $0 != "name" }.sorted()
        if let mapping = node.mapping, kinds.count != 1 {
            let keys = mapping.compactMap(\.key.string).joined(separator: " and ")
            fail(
                node,
                """
                layer: expected one of \(Self.layerKinds.joined(separator: ", ")); found \
                \(mapping.isEmpty ? "an empty layer" : keys + " in one layer")
                """
            )
            return nil
        }
        guard let kind = kinds.first, let value = fields[kind] else { return nil }
        switch kind {
        case "dense": return dense(value)
        case "dropout":
            return real(value, "dropout", "a rate from 0 to below 1", { $0 >= 0 && $0 < 1 }).map { .dropout(rate: $0) }
        case "activation":
            return choice(value, "activation", JobDescription.Activation.self).map { .activation($0) }
        case "add": return add(value, names)
        default:
            let isEmpty = value.string == "" || value.string == "null" || value.string == "~"
            let known = kind == "batch_norm" ? ["momentum", "epsilon"] : ["epsilon"]
            return normalisation(kind, isEmpty ? [:] : self.fields(value, kind, known: known))
        }
    }

    private mutating func dense(_ node: Node) -> JobDescription.Layer? {
        let settings = fields(node, "dense", known: ["units", "activation", "initializer"], required: ["units"])
        guard let units = integer(settings["units"], "dense: units", 1...65_536) else { return nil }
        let activation = choice(settings["activation"], "dense: activation", JobDescription.Activation.self)
        let initializer = choice(settings["initializer"], "dense: initializer", JobDescription.Initializer.self)
        return .dense(units: units, activation: activation ?? .linear, initializer: initializer)
    }

    private mutating func normalisation(_ kind: String, _ settings: [String: Node]) -> JobDescription.Layer {
        func positive(_ value: Double) -> Bool { value > 0 && value <= 1 }
        let epsilon = real(settings["epsilon"], "\(kind): epsilon", "a number above 0 and up to 1", positive) ?? 1e-5
        guard kind == "batch_norm" else { return .layerNorm(epsilon: epsilon) }
        let momentum = real(settings["momentum"], "batch_norm: momentum", "a share above 0 and up to 1", positive)
        return .batchNorm(momentum: momentum ?? 0.1, epsilon: epsilon)
    }

    /// The name of an earlier layer.
    private mutating func add(_ node: Node, _ names: LayerNames) -> JobDescription.Layer? {
        guard let name = text(node, "add") else { return nil }
        guard let layer = names[name] else {
            let known = names.keys.sorted().joined(separator: ", ")
            fail(
                node,
                """
                add: expected the name of a layer before this one; found \(name.debugDescription); \
                named are: \(known.isEmpty ? "none; give a layer a name, as {dense: {...}, name: a}" : known)
                """)
            return nil
        }
        return .add(layer: layer)
    }
}
