/// A declaration at file or type scope: locals of functions are none.
struct Declaration {
    enum Kind: String {
        case function = "func"
        case initializer = "init"
        case `subscript`
        case property
        case `case`
        case `struct`
        case `class`
        case `enum`
        case `actor`
        case `protocol`
        case `extension`
        case `typealias`
        case `associatedtype`

        var isType: Bool {
            switch self {
            case .struct, .class, .enum, .actor, .protocol: true
            case .function, .initializer, .subscript, .property, .case, .extension, .typealias, .associatedtype: false
            }
        }
    }

    var kind: Kind
    /// Of an extension the extended type as written.
    var name: String
    var modifiers: Set<String>
    /// The names of its attributes, without `@` and arguments.
    var attributes: Set<String>
    /// The comments right above its first attribute or modifier.
    var comments: [Token]
    /// The first line of its code, attributes included, and the last one.
    var lines: ClosedRange<Int>
    /// The indices, in the file's code tokens, of its header: from the keyword to the body's brace, or to the end.
    var header: Range<Int>
    var hasBody: Bool
    /// The enclosing declarations of types and extensions, outermost first.
    var parents: [Parent]

    struct Parent {
        var kind: Kind
        var name: String
        var modifiers: Set<String>
    }

    var isPrivate: Bool { modifiers.contains("private") || modifiers.contains("fileprivate") }

    /// Whether other rooms see it: requirements of a package protocol do not repeat the word.
    var isPackage: Bool {
        modifiers.contains("package") || modifiers.contains("public")
            || parents.last.map { $0.kind == .protocol && $0.modifiers.contains("package") } ?? false
    }

    var documentation: [Token] { comments.filter(\.isDocComment) }
}
