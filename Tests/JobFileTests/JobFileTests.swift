import Cluster
import ConfigurationFiles
import Foundation
import JobFile
import Testing

@Suite struct JobFileTests {
    static let good = """
        name: tth
        tree: events
        datasets:
          - {name: ttH, label: 1, files: root://localhost:21094//store/tth/*.root}
          - {name: qcd, label: 0, tree: boosted/events, files: [root://localhost:21095//store/qcd/*.root, \
        local/ttbar_*.root]}
        features: {pad: {"Jet_*": 8}, normalise: standard, padding: 0}
        train:
          optimizer: {adam: {learning_rate: 0.01}}
          model:
            - dense: {units: 4, activation: relu}
            - dropout: 0.5
            - dense: {units: 1, activation: sigmoid}
        publish: {model: tth, nodes: ["http://localhost:8083"]}
        priority: 5
        workers: {most: 20}
        """

    @Test func aGoodJobIsRead() throws {
        let job = try JobFileParser.parse(Self.good, baseDirectory: "/home/me").job
        #expect(job.datasets[1].files[1] == "/home/me/local/ttbar_*.root")
        #expect(job.datasets[0].tree == "events")
        #expect(job.train?.lanes == 8 && job.priority == 5 && job.maxWorkers == 20)
        #expect(job.train?.loss == .binary)
        #expect(job.features.pad == [.init(pattern: "Jet_*", items: 8)])
        #expect(job.features.padding == .value(0))
    }

    /// Only the one who submits knows his home; a path with a character that no path needs is a mistake.
    @Test func localPathsAreMadeAbsolute() throws {
        func files(_ file: String, home: String? = "/home/me") throws -> String? {
            let text = Self.good.replacingOccurrences(of: "local/ttbar_*.root", with: file)
            return try JobFileParser.parse(text, baseDirectory: "/base", homeDirectory: home).job.datasets[1].files.last
        }
        #expect(try files("~/d/*.root") == "/home/me/d/*.root" && files("\"$HOME/d\"") == "/home/me/d")
        #expect(try files("\"${HOME}\"") == "/home/me" && files("~other/d") == "/base/~other/d")
        #expect(try files("file:/etc/x") == "file:/etc/x" && files("../d/a.root") == "/base/../d/a.root")
        for (file, home) in [("~/d", nil), ("\"a\\0b\"", "/home/me"), ("\"/a\\nb\"", "/home/me"), ("~/d", "relative")] {
            let error = #expect(throws: FileMistakes.self) { try files(file, home: home) }
            #expect(error?.mistakes.count == 1 && "\(error as Any)".contains("files: "), "\(file): \(error as Any)")
        }
    }

    @Test func trainingKeysAreReadAndChecked() throws {
        let keys = "train:\n  lanes: 16\n  batch: 4\n  shuffle: 5000\n  seed: 7\n  evaluate: [train, validation]"
        let file = Self.good.replacingOccurrences(of: "train:", with: keys)
        let train = try #require(try JobFileParser.parse(file, baseDirectory: "/").job.train)
        #expect(train.lanes == 16 && train.batch == 4 && train.shuffle == .samples(5000) && train.seed == 7)
        #expect(train.evaluatesTrain)
        let full = Self.good.replacingOccurrences(of: "train:", with: "train:\n  shuffle: full")
        let other = try JobFileParser.parse(full, baseDirectory: "/").job
        #expect(other.train?.shuffle == .full && other.train?.evaluatesTrain == false && other.train?.seed == nil)
        for (key, message) in [
            ("shuffle: 0", "train: shuffle: expected full, or samples"), ("shuffle: all", "found all"),
            ("seed: -1", "train: seed"), ("evaluate: [test]", "train: evaluate: expected [validation]"),
        ] {
            let text = Self.good.replacingOccurrences(of: "train:", with: "train:\n  \(key)")
            let error = #expect(throws: FileMistakes.self) { try JobFileParser.parse(text, baseDirectory: nil) }
            #expect("\(error as Any)".contains(message), "\(key)")
        }
    }

    /// Jobs are normalised by mean and deviation unless they ask for something else, with and without a section.
    @Test func standardIsTheDefaultNormalisation() throws {
        for features in ["", "features: {padding: 0}"] {
            let text = Self.good.replacingOccurrences(
                of: #"features: {pad: {"Jet_*": 8}, normalise: standard, padding: 0}"#, with: features)
            #expect(try JobFileParser.parse(text, baseDirectory: "/").job.features.normalise == .standard)
        }
    }

    @Test func theExamplesAreRead() throws {
        let configs = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../cluster-configs")
            .standardizedFileURL
        let walk = try #require(FileManager.default.enumerator(at: configs, includingPropertiesForKeys: nil))
        var count = 0
        for case let url as URL in walk where url.pathExtension == "yaml" {
            let text = try String(contentsOf: url, encoding: .utf8)
            if url.lastPathComponent == "sites.yaml" {
                _ = try SitesFile.parse(text)
            } else {
                _ = try JobFileParser.parse(text, baseDirectory: nil)
            }
            count += 1
        }
        #expect(count > 1)
    }

    @Test(arguments: [
        ("name: x\ndatasets:\n  - {name: a, files: /x, colour: red}", 3, "unknown key \"colour\""),
        ("name: x\ndatasets:\n  - {name: a, files: /x}", 3, "no tree"),
        ("name: x\ntree: t\ndatasets: [{name: a, files: /x, weight: 2}]", 3, "weight"),
        (
            "name: x\ntree: t\ndatasets: [{name: a, files: /x}]\nsplit: {train: 0.5, validation: 0.1, test: 0.1}", 4,
            "add up to 1"
        ),
        ("name: x\ntree: t\ndatasets: [{name: a, files: /x}]\nchunk: {events: -4}", 4, "expected a whole number"),
        ("name: [", 1, "YAML"),
        ("datasets: []", 1, "name is missing"),
        (
            """
            name: x\ntree: t\ndatasets: [{name: a, files: /x, label: 1}]\ntrain:\n  model:\n    - dense: {units: \
            1, activation: sigmoid}
            """,
            3, "two classes"
        ),
    ])
    func mistakesNameTheirLine(_ text: String, _ line: Int, _ part: String) {
        let error = #expect(throws: FileMistakes.self) { try JobFileParser.parse(text, baseDirectory: nil) }
        #expect(
            error?.mistakes.contains { $0.line == line && $0.text.contains(part) } == true,
            "\(error?.description ?? "")")
    }

    /// A job file whose `model` list is `layers`, from line 5 on, and `rest` after it.
    private func training(_ layers: String, _ rest: String = "") -> String {
        """
        name: x
        tree: t
        datasets: [{name: a, files: /x, label: 0}, {name: b, files: /y, label: 1}]
        train:
          model:
        \(layers)
        \(rest)
        """
    }

    @Test(arguments: [
        (
            "    - {dense: {units: 4}, dropout: 0.5}\n    - dense: {units: 1, activation: sigmoid}", 6,
            "dense and dropout"
        ),
        ("    - {}\n    - dense: {units: 1, activation: sigmoid}", 6, "an empty layer"),
        ("    - dense: {units: 1, activation: sigmoid}\n    - {}", 7, "an empty layer"),
        ("    - dropout: 0.5", 6, "the last layer must be dense"),
    ])
    func aLayerIsOneKind(_ layers: String, _ line: Int, _ part: String) {
        let error = #expect(throws: FileMistakes.self) {
            try JobFileParser.parse(training(layers), baseDirectory: nil)
        }
        #expect(
            error?.mistakes.contains { $0.line == line && $0.text.contains(part) } == true,
            "\(error?.description ?? "")")
    }

    @Test func aLossThatTheLastLayerDoesNotComputeIsAMistake() throws {
        let sigmoid = "    - dense: {units: 1, activation: sigmoid}"
        let softmax = "    - dense: {units: 3, activation: softmax}"
        for (layers, loss) in [(sigmoid, "categorical_crossentropy"), (softmax, "binary_crossentropy")] {
            let error = #expect(throws: FileMistakes.self) {
                try JobFileParser.parse(training(layers, "  loss: \(loss)"), baseDirectory: nil)
            }
            #expect(error?.mistakes.map(\.line) == [7] && error?.mistakes[0].text.contains(loss) == true)
        }
        // An unknown loss is named even where the layers are wrong too.
        let both = #expect(throws: FileMistakes.self) {
            try JobFileParser.parse(training("    - dropout: 0.5", "  loss: hinge"), baseDirectory: nil)
        }
        #expect(both?.mistakes.map(\.line) == [6, 7])
        for (layers, loss, expected) in [
            (sigmoid, "", JobDescription.Loss.binary), (softmax, "", .categorical),
            (sigmoid, "  loss: binary_crossentropy", .binary),
            (softmax, "  loss: categorical_crossentropy", .categorical),
        ] {
            #expect(try JobFileParser.parse(training(layers, loss), baseDirectory: nil).job.train?.loss == expected)
        }
    }

    @Test func kernelsAreNotedAndChangeNothing() throws {
        let layers = "    - dense: {units: 1, activation: sigmoid}"
        let plain = try JobFileParser.parse(training(layers), baseDirectory: nil)
        let named = try JobFileParser.parse(training(layers, "  kernels: Haswell"), baseDirectory: nil)
        #expect(plain.notes.isEmpty && named.job == plain.job)
        #expect(
            named.notes == [
                "train: kernels has no effect any more: the model's bits are the same on every processor"
            ])
    }

    @Test func theNumberOfWorkersHasTwoSpellings() throws {
        let job = "name: x\ntree: t\ndatasets: [{name: a, files: /x}]\n"
        #expect(try JobFileParser.parse(job + "workers: {max: 3}", baseDirectory: nil).job.maxWorkers == 3)
        #expect(try JobFileParser.parse(job + "workers: {most: 3}", baseDirectory: nil).job.maxWorkers == 3)
        let error = #expect(throws: FileMistakes.self) {
            try JobFileParser.parse(job + "workers: {max: 3, most: 3}", baseDirectory: nil)
        }
        #expect(error?.mistakes.map(\.line) == [4])
    }

    /// What an inference node would reject is rejected before anything is computed.
    @Test func whatCannotBePublishedIsAMistake() throws {
        func parse(_ publish: String) throws -> JobDescription {
            try JobFileParser.parse(
                training("    - dense: {units: 1, activation: sigmoid}", "publish: \(publish)"), baseDirectory: nil
            ).job
        }
        let nodes = #"["http://10.0.0.1:8083", "http://[2001:db8::7]:8083", "http://node-1.example.org"]"#
        let good = try parse("{model: tth-2.1_b, nodes: \(nodes)}")
        #expect(good.publish?.nodes.count == 3 && good.publish?.model == "tth-2.1_b")
        _ = try parse("{model: \(String(repeating: "m", count: 128)), nodes: \(nodes)}")
        for model in [
            ".hidden", String(repeating: "m", count: 129), "a/b", #""a b""#, #""a\nb""#, #""m\u00e9""#, #""a%2e""#,
        ] {
            let error = #expect(throws: FileMistakes.self) { try parse("{model: \(model), nodes: \(nodes)}") }
            #expect(error?.mistakes.map(\.line) == [7], "\(model)")
            #expect(error?.mistakes.first?.text.contains("not beginning with a dot") == true, "\(model)")
        }
        for nodes in [
            "[]", #"["http://a:1\r\nX-Header: 1"]"#, #"["http://a:8083\n"]"#, #"["http://a\u0007b:8083"]"#,
            #"["http://a:8083/path"]"#, #"["http://user@a:8083"]"#, #"["http://a:8083?x=1"]"#, #"["http://:8083"]"#,
            #"["http://a:0"]"#, #"["http://a:+80"]"#, #"["https://a:8083"]"#, #"["ftp://a"]"#, #"["http://"]"#,
            #"["http://2001:db8::7"]"#,
        ] {
            let error = #expect(throws: FileMistakes.self) { try parse("{model: m, nodes: \(nodes)}") }
            #expect(error?.mistakes.map(\.line) == [7], "\(nodes)")
            #expect(error?.mistakes.first?.text.contains("http://host:port") == true, "\(nodes)")
        }
    }

    @Test func aModelHasABoundedNumberOfLayers() throws {
        let most = JobDescription.Training.maxLayers
        func layers(_ count: Int) -> String {
            [String](repeating: "    - dense: {units: 1, activation: sigmoid}", count: count).joined(separator: "\n")
        }
        let job = try JobFileParser.parse(training(layers(most)), baseDirectory: nil).job
        #expect(job.train?.layers.count == most)
        let error = #expect(throws: FileMistakes.self) {
            try JobFileParser.parse(training(layers(most + 1)), baseDirectory: nil)
        }
        #expect(error?.mistakes.contains { $0.text.contains("at most \(most) layers") } == true)
    }
}
