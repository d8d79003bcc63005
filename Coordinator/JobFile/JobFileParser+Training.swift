import Cluster
import ConfigurationFiles
import Yams

/// The section `train` of a job file, but for the model's layers and the optimiser.
extension JobFileParser {
    /// - Parameter onTarget: whether the job learns a target.
    mutating func training(_ node: Node, onTarget: Bool) -> JobDescription.Training {
        let fields = fields(
            node, "train",
            known: [
                "lanes", "batch", "shuffle", "seed", "evaluate", "epochs", "optimizer", "loss", "model", "kernels",
                "schedule", "warmup", "clip_norm", "early_stopping",
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
        if let node = fields["optimizer"] {
            training.optimizer = optimizer(node, &training.course) ?? training.optimizer
        }
        course(fields, &training.course, onTarget: onTarget)
        if let node = fields["model"] {
            training.layers = layers(node)
            checkLanes(training, at: node)
        }
        let last = training.layers.last
        if case .dense(_, .softmax, _)? = last { training.loss = .categorical }
        if onTarget { training.loss = .mse }
        if let node = fields["loss"] {
            loss(node, &training)
            checkLoss(training.loss, onTarget: onTarget, at: node)
        }
        guard case .dense(let units, let activation, _)? = last else {
            if let node = fields["model"] { fail(node, "train: model: the last layer must be dense") }
            return training
        }
        if let node = fields["loss"] ?? fields["model"], training.loss.isRegression == onTarget {
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

    // MARK: The loss

    /// A loss's name, or a mapping from it to what it is set up with.
    private mutating func loss(_ node: Node, _ training: inout JobDescription.Training) {
        guard let mapping = node.mapping else {
            if let loss = choice(node, "train: loss", JobDescription.Loss.self) { training.loss = loss }
            return
        }
        guard mapping.count == 1, let (key, value) = mapping.first.map({ ($0.key, $0.value) }),
            let loss = choice(key, "train: loss", JobDescription.Loss.self)
        else {
            if mapping.count != 1 { fail(node, "train: loss: expected one loss; found \(mapping.count)") }
            return
        }
        training.loss = loss
        switch loss {
        case .binary, .categorical:
            let fields = fields(value, "train: loss: \(loss.rawValue)", known: ["label_smoothing"])
            training.lossSettings.labelSmoothing =
                real(
                    fields["label_smoothing"], "label_smoothing", "a share from 0 to below 1", { $0 >= 0 && $0 < 1 })
                ?? 0
        case .focal:
            let fields = fields(value, "train: loss: focal", known: ["gamma", "alpha"])
            training.lossSettings.gamma =
                real(fields["gamma"], "focal: gamma", "a number from 0 to 16", { $0 >= 0 && $0 <= 16 }) ?? 2
            training.lossSettings.alpha = real(
                fields["alpha"], "focal: alpha", "a share above 0 and below 1", { $0 > 0 && $0 < 1 })
        case .mse: _ = fields(value, "train: loss: mse", known: [])
        case .huber:
            let fields = fields(value, "train: loss: huber", known: ["delta"])
            training.lossSettings.delta =
                real(fields["delta"], "huber: delta", "a number above 0", { $0 > 0 && $0 <= 1e12 }) ?? 1
        }
    }

    /// A job learns a target or classes, and the loss must be one of what it learns.
    private mutating func checkLoss(_ loss: JobDescription.Loss, onTarget: Bool, at node: Node) {
        guard loss.isRegression != onTarget else { return }
        let fitting = JobDescription.Loss.allCases.filter { $0.isRegression == onTarget }.map(\.rawValue)
        let reason = onTarget ? "classes, and the job has a target" : "a target, and the job has none"
        fail(
            node,
            """
            train: loss: \(loss.rawValue) is a loss of \(reason); expected one of \(fitting.joined(separator: ", "))
            """)
    }

    /// The last layer's shape decides which loss is computed: a job file that names another one is mistaken.
    private mutating func checkLoss(
        _ loss: JobDescription.Loss, units: Int, activation: JobDescription.Activation, at node: Node
    ) {
        let found = "\(units) units, \(activation.rawValue)"
        let isBinary = units == 1 && activation == .sigmoid
        let isCategorical = (2...EvaluationReport.maxClasses).contains(units) && activation == .softmax
        switch loss {
        case .binary:
            guard !isBinary else { return }
            fail(
                node,
                "train: binary_crossentropy needs a last layer dense: {units: 1, activation: sigmoid}; found \(found)")
        case .categorical:
            guard !isCategorical else { return }
            fail(
                node,
                """
                train: categorical_crossentropy needs a last layer with softmax and at most \
                \(EvaluationReport.maxClasses) units, one for each class; found \(found)
                """
            )
        case .mse, .huber:
            guard units != 1 || activation != .linear else { return }
            fail(
                node, "train: a target needs a last layer dense: {units: 1, activation: linear}; found \(found)")
        case .focal:
            guard !isBinary, !isCategorical else { return }
            fail(
                node,
                """
                train: focal needs a last layer with one unit and sigmoid, or with softmax and at most \
                \(EvaluationReport.maxClasses), one for each class; found \(found)
                """
            )
        }
    }

    /// Batch normalisation takes the statistics of a lane's samples in a step, which too few do not give.
    private mutating func checkLanes(_ training: JobDescription.Training, at node: Node) {
        let hasBatchNorm = training.layers.contains { if case .batchNorm = $0 { true } else { false } }
        let least = 4 * training.lanes
        guard hasBatchNorm, training.batch < least else { return }
        fail(
            node,
            """
            train: model: batch_norm normalises over each lane's samples of a step and needs a batch of at least 4 for \
            each lane; expected a batch of at least \(least) for \(training.lanes) lanes; found \(training.batch)
            """)
    }

    // MARK: The course

    private mutating func course(
        _ fields: [String: Node], _ course: inout TrainingCourseSettings, onTarget: Bool
    ) {
        if let node = fields["schedule"] { course.schedule = schedule(node) }
        course.warmup =
            real(fields["warmup"], "train: warmup", "epochs from 0 to 1000", { $0 >= 0 && $0 <= 1000 }) ?? 0
        course.clipNorm = real(
            fields["clip_norm"], "train: clip_norm", "a number above 0", { $0 > 0 && $0 <= 1e12 })
        if let node = fields["early_stopping"] { course.earlyStopping = earlyStopping(node) }
        if case .plateau(let metric, _, _, _) = course.schedule, let node = fields["schedule"] {
            check(metric, "plateau", onTarget: onTarget, at: node)
        }
        if let metric = course.earlyStopping?.metric, let node = fields["early_stopping"] {
            check(metric, "early_stopping", onTarget: onTarget, at: node)
        }
    }

    /// A metric must be one that the training has.
    private mutating func check(
        _ metric: TrainingCourseSettings.Metric, _ what: String, onTarget: Bool, at node: Node
    ) {
        guard !metric.isDefined(onTarget: onTarget) else { return }
        let known = TrainingCourseSettings.Metric.allCases.filter { $0.isDefined(onTarget: onTarget) }.map(\.rawValue)
        fail(
            node,
            """
            \(what): metric: expected one of \(known.joined(separator: ", ")) in a job that learns \
            \(onTarget ? "a target" : "classes"); found \(metric.rawValue)
            """)
    }

    private mutating func schedule(_ node: Node) -> TrainingCourseSettings.Schedule {
        let kinds = ["constant", "step", "cosine", "one_cycle", "plateau"]
        let name = node.string ?? node.mapping?.first?.key.string
        guard let name, kinds.contains(name), node.mapping?.count ?? 1 == 1 else {
            fail(
                node,
                """
                train: schedule: expected one of \(kinds.joined(separator: ", ")), \
                as {step: {every: 10, factor: 0.5}}; found \(node.string ?? Self.kind(node))
                """)
            return .constant
        }
        let settings = node.mapping?.first?.value
        func share(_ value: Double) -> Bool { value > 0 && value < 1 }
        func read(_ keys: [String]) -> [String: Node] {
            settings.map { fields($0, "train: schedule: \(name)", known: keys) } ?? [:]
        }
        switch name {
        case "step":
            let fields = read(["every", "factor"])
            return .step(
                every: integer(fields["every"], "step: every", 1...1_000_000) ?? 10,
                factor: real(fields["factor"], "step: factor", "a share above 0 and below 1", share) ?? 0.1)
        case "cosine":
            let fields = read(["final"])
            let final = real(fields["final"], "cosine: final", "a share from 0 to 1", { $0 >= 0 && $0 <= 1 })
            return .cosine(final: final ?? 0)
        case "one_cycle":
            let fields = read(["rise", "initial_divisor", "final_divisor"])
            func divisor(_ value: Double) -> Bool { value >= 1 && value <= 1e9 }
            return .oneCycle(
                rise: real(fields["rise"], "one_cycle: rise", "a share above 0 and below 1", share) ?? 0.3,
                initialDivisor: real(fields["initial_divisor"], "initial_divisor", "a number from 1", divisor) ?? 25,
                finalDivisor: real(fields["final_divisor"], "final_divisor", "a number from 1", divisor) ?? 10_000)
        case "plateau":
            let fields = read(["metric", "factor", "patience", "threshold"])
            return .plateau(
                metric: choice(fields["metric"], "plateau: metric", TrainingCourseSettings.Metric.self) ?? .loss,
                factor: real(fields["factor"], "plateau: factor", "a share above 0 and below 1", share) ?? 0.1,
                patience: integer(fields["patience"], "plateau: patience", 0...1_000_000) ?? 10,
                threshold: real(fields["threshold"], "plateau: threshold", "a share from 0", { $0 >= 0 && $0 < 1 })
                    ?? 1e-4)
        default: return .constant
        }
    }

    /// A number of epochs, or a mapping.
    private mutating func earlyStopping(_ node: Node) -> TrainingCourseSettings.EarlyStopping {
        var early = TrainingCourseSettings.EarlyStopping()
        guard node.mapping != nil else {
            early.patience = integer(node, "train: early_stopping", 1...1_000_000) ?? 3
            return early
        }
        let fields = fields(
            node, "train: early_stopping", known: ["metric", "patience", "min_delta", "restore_best"])
        early.metric =
            choice(fields["metric"], "early_stopping: metric", TrainingCourseSettings.Metric.self) ?? .loss
        early.patience = integer(fields["patience"], "early_stopping: patience", 1...1_000_000) ?? 3
        early.minDelta =
            real(fields["min_delta"], "early_stopping: min_delta", "a number from 0", { $0 >= 0 && $0 < 1e12 }) ?? 0
        early.restoresBest = boolean(fields["restore_best"], "early_stopping: restore_best") ?? true
        return early
    }

    mutating func boolean(_ node: Node?, _ what: String) -> Bool? {
        guard let node else { return nil }
        guard let value = node.bool else {
            fail(node, "\(what): expected true or false; found \(node.string ?? Self.kind(node))")
            return nil
        }
        return value
    }
}
