/// What a worker's linear algebra can be started with. Coded as one text: the type's name, with ` only` behind it where
/// it is fixed.
package enum OwnKernels: Sendable, Equatable, Codable {
    /// The processor would choose this type, and runs all older ones.
    case upTo(String)
    /// The library cannot be switched to another one.
    case fixed(String)

    private static let mark = " only"

    package init(text: String) {
        self = text.hasSuffix(Self.mark) ? .fixed(String(text.dropLast(Self.mark.count))) : .upTo(text)
    }

    package var text: String {
        switch self {
        case .upTo(let name): name
        case .fixed(let name): name + Self.mark
        }
    }

    package init(from decoder: any Decoder) throws {
        self.init(text: try decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    /// Whether the worker can restart with these kernels.
    package func canBecome(_ kernels: String) -> Bool {
        switch self {
        case .upTo(let name): KernelTypes.runs(kernels, on: name)
        case .fixed(let name): name == kernels
        }
    }
}
