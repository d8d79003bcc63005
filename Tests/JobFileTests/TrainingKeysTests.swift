import Cluster
import ConfigurationFiles
import JobFile
import Testing

/// The keys of `train`: each is read, and a mistake in it is named.
@Suite struct TrainingKeysTests {
    private func train(_ text: String) throws -> JobDescription.Training {
        try #require(try JobFileParser.parse(text, baseDirectory: "/").job.train)
    }

    private func with(_ keys: String) -> String {
        JobFileTests.good.replacingOccurrences(of: "train:", with: "train:\n  \(keys)")
    }

    private func with(optimizer: String) -> String {
        JobFileTests.good.replacingOccurrences(of: "{adam: {learning_rate: 0.01}}", with: optimizer)
    }

    private func with(layer: String) -> String {
        JobFileTests.good.replacingOccurrences(of: "dropout: 0.5", with: layer)
    }

    /// Every kind of layer has a key. A new case does not compile until it stands here.
    @Test func everyLayerHasAKey() throws {
        func text(_ layer: JobDescription.Layer) -> String {
            switch layer {
            case .dense(let units, let activation, let initializer):
                "dense: {units: \(units), activation: \(activation.rawValue), "
                    + "initializer: \(initializer?.rawValue ?? "glorot_uniform")}"
            case .dropout(let rate): "dropout: \(rate)"
            case .activation(let activation): "activation: \(activation.rawValue)"
            case .batchNorm(let momentum, let epsilon): "batch_norm: {momentum: \(momentum), epsilon: \(epsilon)}"
            case .layerNorm(let epsilon): "layer_norm: {epsilon: \(epsilon)}"
            case .add: "add: first"
            }
        }
        let last = JobDescription.Layer.dense(units: 1, activation: .sigmoid)
        let layers: [JobDescription.Layer] =
            [
                .dropout(rate: 0.25), .batchNorm(momentum: 0.2, epsilon: 0.001), .layerNorm(epsilon: 0.001),
                .add(layer: 0),
            ] + JobDescription.Activation.allCases.map { .activation($0) }
            + JobDescription.Initializer.allCases.map { .dense(units: 3, activation: .gelu, initializer: $0) }
        for layer in layers {
            let file = with(layer: text(layer)).replacingOccurrences(
                of: "    - dense: {units: 4, activation: relu}",
                with: "    - {name: first, dense: {units: 4, activation: relu}}")
            #expect(try train(file).layers.suffix(2) == [layer, last], "\(layer)")
        }
        #expect(try train(with(layer: "batch_norm")).layers[1] == .batchNorm(momentum: 0.1, epsilon: 1e-5))
        #expect(try train(with(layer: "layer_norm:")).layers[1] == .layerNorm(epsilon: 1e-5))
    }

    @Test func everyOptimizerIsRead() throws {
        var momentum = JobDescription.GradientDescent(learningRate: 0.2)
        (momentum.momentum, momentum.nesterov, momentum.weightDecay) = (0.9, true, 0.001)
        var adamW = JobDescription.AdaptiveMoments(learningRate: 0.002)
        adamW.weightDecay = 0.01
        for (text, optimizer) in [
            ("sgd", .sgd(.init())), ("adam", .adam(.init())),
            ("{sgd: {learning_rate: 0.2, momentum: 0.9, nesterov: true, weight_decay: 0.001}}", .sgd(momentum)),
            ("{adamw: {learning_rate: 0.002}}", .adamW(adamW)),
        ] as [(String, JobDescription.Optimizer)] {
            #expect(try train(with(optimizer: text)).optimizer == optimizer)
        }
        let scaled = try train(with(optimizer: "{adam: {reference_batch: 256}}"))
        #expect(scaled.course.referenceBatch == 256)
    }

    @Test func theCourseIsRead() throws {
        for (text, schedule) in [
            ("constant", .constant), ("{step: {every: 3, factor: 0.5}}", .step(every: 3, factor: 0.5)),
            ("cosine", .cosine(final: 0)), ("{cosine: {final: 0.1}}", .cosine(final: 0.1)),
            ("one_cycle", .oneCycle(rise: 0.3, initialDivisor: 25, finalDivisor: 10_000)),
            (
                "{plateau: {metric: auc, factor: 0.2, patience: 4}}",
                .plateau(metric: .auc, factor: 0.2, patience: 4, threshold: 1e-4)
            ),
        ] as [(String, TrainingCourseSettings.Schedule)] {
            #expect(try train(with("schedule: \(text)")).course.schedule == schedule)
        }
        let course = try train(with("warmup: 0.5\n  clip_norm: 2\n  early_stopping: 4")).course
        #expect(course.warmup == 0.5 && course.clipNorm == 2 && course.earlyStopping?.patience == 4)
        let early = try train(
            with("early_stopping: {metric: accuracy, patience: 2, min_delta: 0.1, restore_best: false}")
        ).course.earlyStopping
        #expect(early?.metric == .accuracy && early?.minDelta == 0.1 && early?.restoresBest == false)
    }

    @Test func lossesAreRead() throws {
        let smoothed = try train(with("loss: {binary_crossentropy: {label_smoothing: 0.1}}"))
        #expect(smoothed.loss == .binary && smoothed.lossSettings.labelSmoothing == 0.1)
        let focal = try train(with("loss: {focal: {gamma: 1.5, alpha: 0.3}}"))
        #expect(focal.loss == .focal && focal.lossSettings.gamma == 1.5 && focal.lossSettings.alpha == 0.3)
        #expect(try train(with("loss: focal")).lossSettings.gamma == 2)
    }

    private static let regression = """
        name: energy
        tree: events
        target: {branch: energy, normalise: none}
        datasets: [{name: all, files: root://localhost:21094//store/*.root}]
        train:
          loss: {huber: {delta: 2.5}}
          early_stopping: {metric: rmse}
          schedule: {plateau: {metric: mae}}
          model: [{dense: {units: 4, activation: relu}}, {dense: {units: 1}}]
        """

    @Test func aTargetIsRead() throws {
        let job = try JobFileParser.parse(Self.regression, baseDirectory: "/").job
        #expect(job.target?.branch == "energy" && job.target?.normalise == JobDescription.Target.Normalise.none)
        #expect(job.train?.loss == .huber && job.train?.lossSettings.delta == 2.5 && job.truthBranch == "energy")
        #expect(job.train?.course.earlyStopping?.metric == .rmse)
        let short = Self.regression.replacingOccurrences(of: "{branch: energy, normalise: none}", with: "energy")
            .replacingOccurrences(of: "  loss: {huber: {delta: 2.5}}\n", with: "")
        let plain = try JobFileParser.parse(short, baseDirectory: "/").job
        #expect(plain.target == .init(branch: "energy") && plain.target?.normalise == .standard)
        #expect(plain.train?.loss == .mse)
    }

    @Test func mistakesOfATargetAreNamed() {
        func with(_ old: String, _ new: String) -> String {
            Self.regression.replacingOccurrences(of: old, with: new)
        }
        for (text, message) in [
            (with("name: all,", "name: all, label: 1,"), "leave out the label of all"),
            (with("tree: events", "tree: events\nlabel_branch: y"), "leave out label_branch"),
            (with("normalise: none", "normalise: minmax"), "target: normalise: expected one of standard, none"),
            (with("{branch: energy, normalise: none}", "{normalise: none}"), "branch"),
            (with("{huber: {delta: 2.5}}", "focal"), "expected one of mse, huber"),
            (with("delta: 2.5", "delta: 0"), "huber: delta"), (with("delta: 2.5", "gamma: 2"), "gamma"),
            (with("units: 1}", "units: 2}"), "a target needs a last layer dense: {units: 1, activation: linear}"),
            (with("units: 1}", "units: 1, activation: sigmoid}"), "found 1 units, sigmoid"),
            (with("metric: rmse", "metric: auc"), "early_stopping: metric: expected one of loss, mae, rmse"),
            (with("metric: mae", "metric: accuracy"), "plateau: metric: expected one of loss, mae, rmse"),
            (self.with("loss: mse"), "expected one of binary_crossentropy, categorical_crossentropy, focal"),
            (self.with("early_stopping: {metric: mae}"), "expected one of loss, auc, accuracy in a job"),
        ] {
            let error = #expect(throws: FileMistakes.self) { try JobFileParser.parse(text, baseDirectory: nil) }
            #expect("\(error as Any)".contains(message), "\(message): \(error as Any)")
        }
    }

    @Test func mistakesAreNamed() {
        for (text, message) in [
            (with("early_stopping: {metric: f1}"), "early_stopping: metric: expected one of loss, auc, accuracy"),
            (with("early_stopping: 0"), "train: early_stopping"),
            (with("schedule: triangle"), "train: schedule: expected one of constant, step, cosine, one_cycle, plateau"),
            (with("schedule: {step: {every: 0}}"), "step: every"),
            (with("clip_norm: 0"), "train: clip_norm"), (with("warmup: -1"), "train: warmup"),
            (with("loss: {focal: {gamma: -1}}"), "focal: gamma"),
            (with("loss: {binary_crossentropy: {label_smoothing: 1}}"), "label_smoothing"),
            (with(optimizer: "rmsprop"), "expected adam, adamw or sgd"),
            (with(optimizer: "{sgd: {nesterov: true}}"), "nesterov needs a momentum above 0"),
            (with(layer: "add: nobody"), "add: expected the name of a layer before this one"),
            (with(layer: "activation: swish"), "activation: expected one of"),
            (with(layer: "batch_norm: {momentum: 2}"), "batch_norm: momentum"),
            (
                with("lanes: 50").replacingOccurrences(of: "dropout: 0.5", with: "batch_norm"),
                "needs a batch of at least 4 for each lane"
            ),
        ] {
            let error = #expect(throws: FileMistakes.self) { try JobFileParser.parse(text, baseDirectory: nil) }
            #expect("\(error as Any)".contains(message), "\(message): \(error as Any)")
        }
    }
}
