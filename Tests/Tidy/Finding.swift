import Testing

/// Something in the tree that breaks a rule.
struct Finding: CustomStringConvertible {
    var path: String
    var line: Int
    var message: String

    init(_ file: SourceFile, line: Int, _ message: String) {
        path = file.path
        self.line = line
        self.message = message
    }

    var description: String { "\(path):\(line): \(message)" }
}

extension [Finding] {
    /// Records an issue for each finding.
    func report(sourceLocation: SourceLocation = #_sourceLocation) {
        for finding in self { Issue.record("\(finding)", sourceLocation: sourceLocation) }
    }
}
