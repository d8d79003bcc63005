import Testing

/// A function, property, case or type whose name occurs nowhere but in its declaration is not used. What frameworks
/// call by themselves carries an attribute (`@Test`, `@Option`), overrides or implements something known below.
///
/// A declaration that must stay nonetheless says why in a comment right above it: `// UNUSED: the reason`.
@Suite struct UnusedCheck {
    /// What the language and the libraries ask for by name.
    private static let known: Set<String> = [
        "init", "deinit", "subscript", "body", "configuration", "main", "errorDescription", "debugDescription",
        "unownedExecutor", "enqueue", "didReceiveHead", "didReceiveBodyPart", "didFinishRequest",
        // Handlers of NIO's channels, and Hummingbird's count of connections.
        "InboundIn", "InboundOut", "OutboundIn", "OutboundOut", "handlerAdded", "handlerRemoved", "channelInactive",
        "channelRead", "channelReadComplete", "channelWritabilityChanged", "userInboundEventTriggered",
        "connectionOpened", "connectionClosed", "isAcceptingNewConnections",
    ]

    static func findings(in files: [SourceFile]) -> [Finding] {
        var uses: [String: Int] = [:]
        for file in files {
            for token in file.code where token.kind == .word { uses[token.text, default: 0] += 1 }
        }
        return files.filter(\.isProduction).flatMap { file in
            file.declarations.filter { declaration in
                uses[declaration.name] == 1 && !known.contains(declaration.name)
                    && declaration.attributes.isSubset(of: ["discardableResult", "inlinable", "inline"])
                    && !declaration.modifiers.contains("override") && declaration.kind != .extension
                    && !declaration.comments.contains { $0.text.hasPrefix("// UNUSED: ") && $0.text.count > 20 }
            }.map {
                Finding(
                    file, line: $0.lines.lowerBound, "\($0.kind.rawValue) \($0.name) is used nowhere; remove it")
            }
        }
    }

    @Test func everythingIsUsed() {
        Self.findings(in: SourceTree.swift).report()
    }

    @Test func plantedExamplesAreFound() {
        let file = SourceFile(
            path: "Common/A/A.swift",
            text: """
                struct A {
                    // A mention of lonely in a comment is no use, nor is "lonely" in a string.
                    var lonely: Int
                    var used: Int
                    @Option var option: Int
                    // UNUSED: the layout of the C struct needs it.
                    var padding: Int
                }
                let a = A(used: "lonely \\(1)")
                print(a.used)
                """)
        #expect(Self.findings(in: [file]).map(\.line) == [3])
    }
}
