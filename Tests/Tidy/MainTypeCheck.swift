import Testing

/// One main type a file, and the file named after it.
///
/// - `Name.swift` declares the type, protocol or type alias `Name` at file scope. Beside it stand only extensions,
///   functions, private types, and small types: at most 30 lines, all that is needed to read the main one.
/// - `Name+Topic.swift` has extensions of `Name` (perhaps beside extensions of other types), and no type above 30
///   lines.
/// - A file of free functions and extensions only may have any name; `main.swift` may hold what it likes.
@Suite struct MainTypeCheck {
    static let smallTypeLines = 30

    static func findings(in files: [SourceFile]) -> [Finding] {
        files.filter { $0.isSwift && $0.name != "main.swift" && $0.name != "Package.swift" }.flatMap(check)
    }

    private static func check(_ file: SourceFile) -> [Finding] {
        let base = String(file.name.dropLast(".swift".count))
        let main = String(base.prefix { $0 != "+" })
        let top = file.declarations.filter { $0.parents.isEmpty && !$0.isPrivate }
        let types = top.filter { $0.kind.isType || $0.kind == .typealias }
        var found = types.filter { $0.name != base && $0.lines.count > smallTypeLines }.map { type in
            Finding(
                file, line: type.lines.lowerBound,
                """
                \(type.name) has \(type.lines.count) lines and is not this file's main type; give it \
                \(type.name).swift, nest it, or make it private
                """
            )
        }
        if base.contains("+") {
            if !top.contains(where: { $0.kind == .extension && $0.name.hasSuffix(main) }) {
                found.append(Finding(file, line: 1, "the file has no extension of \(main)"))
            }
        } else if !types.isEmpty, !types.contains(where: { $0.name == base }) {
            found.append(
                Finding(file, line: types[0].lines.lowerBound, "the file declares \(types[0].name), but no \(base)"))
        }
        return found
    }

    @Test func filesAreNamedAfterTheirMainType() {
        Self.findings(in: SourceTree.swift).report()
    }

    @Test func plantedExamplesAreFound() {
        let body = String(repeating: "    var x = 0\n", count: 30)
        let big = "struct Big {\n\(body)}\n"
        func count(_ name: String, _ text: String) -> Int {
            Self.findings(in: [SourceFile(path: "Common/A/\(name)", text: text)]).count
        }
        #expect(count("Big.swift", big) == 0)
        #expect(count("Other.swift", big) == 2)
        #expect(count("Other.swift", "struct Other {}\n" + big) == 1)
        #expect(count("Other.swift", "struct Other {}\nprivate " + big) == 0)
        #expect(count("Other.swift", "struct Other {}\nstruct Small {}\n") == 0)
        #expect(count("Big+Sum.swift", "extension Big { func sum() {} }") == 0)
        #expect(count("Big+Sum.swift", "extension Other { func sum() {} }") == 1)
        #expect(count("functions.swift", "func sum() {}") == 0)
    }
}
