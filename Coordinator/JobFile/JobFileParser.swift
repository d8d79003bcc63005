import Cluster
import Yams

/// A mistake in a job file.
package struct JobMistake: Error, Equatable, Sendable, Codable, CustomStringConvertible {
    /// From 1.
    package var line: Int
    package var text: String

    package var description: String { "line \(line): \(text)" }
}

package struct JobMistakes: Error, Sendable, CustomStringConvertible {
    package var mistakes: [JobMistake]
    package var description: String { mistakes.map(\.description).joined(separator: "\n") }
}

/// Reads a job file whole and names every mistake with its line.
package struct JobFileParser {
    var mistakes: [JobMistake] = []
    /// Where relative local paths start; nil where they are not allowed.
    let baseDirectory: String?

    /// - Throws: `JobMistakes`, sorted by line.
    package static func parse(_ text: String, baseDirectory: String?) throws(JobMistakes) -> JobDescription {
        var parser = JobFileParser(baseDirectory: baseDirectory)
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch let error as YamlError {
            throw JobMistakes(mistakes: [JobMistake(line: Self.line(of: error), text: "this is not YAML: \(error)".replacing("\n", with: " "))])
        } catch { throw JobMistakes(mistakes: [JobMistake(line: 1, text: "\(error)")]) }
        guard let root else { throw JobMistakes(mistakes: [JobMistake(line: 1, text: "the job file is empty")]) }
        let job = parser.job(root)
        guard parser.mistakes.isEmpty else { throw JobMistakes(mistakes: parser.mistakes.sorted { ($0.line, $0.text) < ($1.line, $1.text) }) }
        return job
    }

    private static func line(of error: YamlError) -> Int {
        switch error {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _): mark.line
        default: 1
        }
    }

    mutating func fail(_ node: Node, _ text: String) { mistakes.append(JobMistake(line: node.mark?.line ?? 1, text: text)) }

    /// The fields of a mapping; unknown and missing keys are mistakes.
    mutating func fields(_ node: Node, _ what: String, known: [String], required: [String] = []) -> [String: Node] {
        guard let mapping = node.mapping else {
            fail(node, "\(what): expected a mapping with the keys \(known.joined(separator: ", ")); found \(Self.kind(node))")
            return [:]
        }
        var found: [String: Node] = [:]
        for (key, value) in mapping {
            let name = key.string ?? "?"
            if !known.contains(name) {
                fail(key, "\(what): unknown key \(name.debugDescription); expected one of \(known.joined(separator: ", "))")
            } else if found.updateValue(value, forKey: name) != nil {
                fail(key, "\(what): the key \(name) stands twice")
            }
        }
        for name in required where found[name] == nil { fail(node, "\(what): the key \(name) is missing") }
        return found
    }

    static func kind(_ node: Node) -> String {
        switch node {
        case .scalar(let scalar): scalar.string.debugDescription
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }

    mutating func text(_ node: Node?, _ what: String) -> String? {
        guard let node else { return nil }
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
            fail(node, "\(what): expected text; found \(Self.kind(node))")
            return nil
        }
        return scalar.string
    }

    mutating func texts(_ node: Node?, _ what: String) -> [String]? {
        guard let node else { return nil }
        guard let sequence = node.sequence else { return text(node, what).map { [$0] } }
        return sequence.compactMap { text($0, what) }
    }

    mutating func integer(_ node: Node?, _ what: String, _ range: ClosedRange<Int>) -> Int? {
        guard let node else { return nil }
        guard case .scalar(let scalar) = node, let value = Int(scalar.string), range.contains(value) else {
            fail(node, "\(what): expected a whole number from \(range.lowerBound) to \(range.upperBound); found \(Self.kind(node))")
            return nil
        }
        return value
    }

    mutating func real(_ node: Node?, _ what: String, _ expected: String, _ accepts: (Double) -> Bool) -> Double? {
        guard let node else { return nil }
        guard case .scalar(let scalar) = node, let value = Double(scalar.string), value.isFinite, accepts(value) else {
            fail(node, "\(what): expected \(expected); found \(Self.kind(node))")
            return nil
        }
        return value
    }

    mutating func choice<T: RawRepresentable & CaseIterable>(_ node: Node?, _ what: String, _: T.Type) -> T? where T.RawValue == String {
        guard let node else { return nil }
        if case .scalar(let scalar) = node, let value = T(rawValue: scalar.string) { return value }
        fail(node, "\(what): expected one of \(T.allCases.map(\.rawValue).joined(separator: ", ")); found \(Self.kind(node))")
        return nil
    }
}
