package import Yams

/// A mistake in a file that a person wrote.
package struct FileMistake: Error, Equatable, Sendable, Codable, CustomStringConvertible {
    /// The line's number, from 1.
    package var line: Int
    package var text: String

    package init(line: Int, text: String) {
        self.line = line
        self.text = text
    }

    package var description: String { "line \(line): \(text)" }
}

/// All mistakes of a file, sorted by line.
package struct FileMistakes: Error, Sendable, CustomStringConvertible {
    package var mistakes: [FileMistake]
    package var description: String { mistakes.map(\.description).joined(separator: "\n") }
}

/// Reads a YAML file whole and names every mistake with its line.
package protocol CheckedYAML {
    var mistakes: [FileMistake] { get set }
}

extension CheckedYAML {
    /// - Parameters:
    ///   - what: the file's kind, for errors.
    ///   - read: makes a value of the root; mistakes are gathered meanwhile.
    /// - Throws: all mistakes, sorted by line.
    package mutating func whole<T>(
        _ text: String, _ what: String, _ read: (inout Self, Node) -> T
    ) throws(FileMistakes) -> T {
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch let error as YamlError {
            throw FileMistakes(mistakes: [
                FileMistake(
                    line: Self.line(of: error, in: text), text: "this is not YAML: \(error)".replacing("\n", with: " "))
            ])
        } catch { throw FileMistakes(mistakes: [FileMistake(line: 1, text: "\(error)")]) }
        guard let root else { throw FileMistakes(mistakes: [FileMistake(line: 1, text: "the \(what) is empty")]) }
        let value = read(&self, root)
        guard mistakes.isEmpty else {
            throw FileMistakes(mistakes: mistakes.sorted { ($0.line, $0.text) < ($1.line, $1.text) })
        }
        return value
    }

    /// The line of a syntax error; the last one where the text ends too early.
    private static func line(of error: YamlError, in text: String) -> Int {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).count
        switch error {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _):
            return max(1, min(mark.line, text.hasSuffix("\n") ? lines - 1 : lines))
        default: return 1
        }
    }

    /// Notes a mistake at a node's line.
    package mutating func fail(_ node: Node, _ text: String) {
        mistakes.append(FileMistake(line: node.mark?.line ?? 1, text: text))
    }

    /// The fields of a mapping; unknown and missing keys are mistakes.
    package mutating func fields(
        _ node: Node, _ what: String, known: [String], required: [String] = []
    ) -> [String: Node] {
        guard let mapping = node.mapping else {
            fail(
                node,
                "\(what): expected a mapping with the keys \(known.joined(separator: ", ")); found \(Self.kind(node))")
            return [:]
        }
        var found: [String: Node] = [:]
        for (key, value) in mapping {
            let name = key.string ?? "?"
            if !known.contains(name) {
                fail(
                    key,
                    "\(what): unknown key \(name.debugDescription); expected one of \(known.joined(separator: ", "))")
            } else if found.updateValue(value, forKey: name) != nil {
                fail(key, "\(what): the key \(name) is duplicated")
            }
        }
        for name in required where found[name] == nil { fail(node, "\(what): the key \(name) is missing") }
        return found
    }

    /// What a node is, for errors: a scalar's text, or "a mapping", "a list", "an alias".
    package static func kind(_ node: Node) -> String {
        switch node {
        case .scalar(let scalar): scalar.string.debugDescription
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }

    /// The text of a scalar that is not empty; nil, and a mistake noted, where it is none; nil where there is no node.
    package mutating func text(_ node: Node?, _ what: String) -> String? {
        guard let node else { return nil }
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
            fail(node, "\(what): expected text; found \(Self.kind(node))")
            return nil
        }
        return scalar.string
    }

    /// The texts of a list of scalars, or of one scalar.
    package mutating func texts(_ node: Node?, _ what: String) -> [String]? {
        guard let node else { return nil }
        guard let sequence = node.sequence else { return text(node, what).map { [$0] } }
        return sequence.compactMap { text($0, what) }
    }

    /// A whole number within a range; nil, and a mistake noted, where it is none.
    package mutating func integer(_ node: Node?, _ what: String, _ range: ClosedRange<Int>) -> Int? {
        guard let node else { return nil }
        guard case .scalar(let scalar) = node, let value = Int(scalar.string), range.contains(value) else {
            fail(
                node,
                "\(what): expected a whole number from \(range.lowerBound) to \(range.upperBound); "
                    + "found \(Self.kind(node))"
            )
            return nil
        }
        return value
    }

    /// A finite number that `accepts` allows; nil, and a mistake noted with what was `expected`, where it is none.
    package mutating func real(
        _ node: Node?, _ what: String, _ expected: String, _ accepts: (Double) -> Bool
    ) -> Double? {
        guard let node else { return nil }
        guard case .scalar(let scalar) = node, let value = Double(scalar.string), value.isFinite, accepts(value) else {
            fail(node, "\(what): expected \(expected); found \(Self.kind(node))")
            return nil
        }
        return value
    }

    /// One of the cases of an enumeration, by its raw value; nil, and a mistake noted, where it is none.
    package mutating func choice<T: RawRepresentable & CaseIterable>(_ node: Node?, _ what: String, _: T.Type) -> T?
    where T.RawValue == String {
        guard let node else { return nil }
        if case .scalar(let scalar) = node, let value = T(rawValue: scalar.string) { return value }
        fail(
            node,
            "\(what): expected one of \(T.allCases.map(\.rawValue).joined(separator: ", ")); found \(Self.kind(node))")
        return nil
    }
}
