/// What is wrong with input that came from outside: a file, a message, a request.
///
/// Errors are data: each has what happened, where, what was expected, what was found, and what to do.
package struct InputError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What kind of error it is, for those that act on it.
    package enum Code: String, Sendable, Codable {
        /// Bytes that cannot be what they should be.
        case truncated, badMagic, badLength, badChecksum, corrupt
        /// Valid, and beyond what this version does, or than what there is.
        case unsupported, missing, limit
        /// A mistake of the user's.
        case input
        /// There is no room for now: a disk, or a budget of memory.
        case full
        /// States of a peer: it cannot be reached, does not answer in time, answers with an error of its own, denies
        /// access, or has other content by now.
        case unreachable, deadline, faulty, denied, changed

        /// Whether another attempt, later or elsewhere, may succeed.
        package var isTransient: Bool { [.unreachable, .deadline, .faulty, .full].contains(self) }
    }

    package var code: Code
    /// One sentence: what went wrong.
    package var message: String
    /// The file's URL or the message's name.
    package var file: String?
    /// The object inside the file: a tree, a branch, a key.
    package var object: String?
    /// The byte offset inside `file` or `object`.
    package var offset: Int?
    package var expected: String?
    package var found: String?
    package var hint: String?

    package init(
        _ code: Code, _ message: String, file: String? = nil, object: String? = nil, offset: Int? = nil,
        expected: String? = nil, found: String? = nil, hint: String? = nil
    ) {
        self.code = code
        self.message = message
        self.file = file
        self.object = object
        self.offset = offset
        self.expected = expected
        self.found = found
        self.hint = hint
    }

    /// Bytes of a description at most: each of its texts is shortened.
    package static let maxDescription = 12 << 10

    /// One line for people, of at most `maxDescription` bytes.
    package var description: String {
        func short(_ text: String) -> String { text.shortened(to: 1 << 10) }
        var location: [String] = []
        if let file { location.append(short(file)) }
        if let object { location.append(short(object)) }
        if let offset { location.append("byte \(offset)") }
        let message = message.shortened(to: 4 << 10)
        var text = location.isEmpty ? message : "\(message) (\(location.joined(separator: ", ")))"
        if let expected { text += "; expected \(short(expected))" }
        if let found { text += "; found \(short(found))" }
        if let hint { text += ". \(short(hint))" }
        return text
    }

    /// The same error with the file and object filled in where its thrower did not know them.
    package func located(file: String? = nil, object: String? = nil) -> InputError {
        var copy = self
        copy.file = copy.file ?? file
        copy.object = copy.object ?? object
        return copy
    }
}
