/// A member's value as it was streamed.
enum StreamedValue {
    case integer(Int64)
    case real(Double)
    case integers([Int64])
    case reals([Double])
    case string(String)
    case object(StreamedObject?)
}

/// An object of any class, read by its description. Members of base classes stand beside its own.
final class StreamedObject {
    let className: String
    private var members: [String: StreamedValue] = [:]
    /// The contents, where it is a collection of objects.
    var items: [StreamedObject?] = []
    /// TStreamerElement only.
    var element: StreamerElement?
    /// TBasket inside a TBranch only.
    var basket: EmbeddedBasket?

    init(className: String) { self.className = className }

    /// Lets go of what it refers to: objects of one record may refer to each other in a ring, or in a long chain.
    func dismantle() {
        members = [:]
        items = []
    }

    func set(_ name: String, _ value: StreamedValue) { members[name] = value }

    func integer(_ name: String) -> Int64 {
        switch members[name] {
        case .integer(let value): value
        case .real(let value): Int64(exactly: value.rounded(.towardZero)) ?? 0
        case .integers, .reals, .string, .object, nil: 0
        }
    }

    func string(_ name: String) -> String { if case .string(let value) = members[name] { value } else { "" } }
    func has(_ name: String) -> Bool { members[name] != nil }

    func integers(_ name: String) -> [Int64] {
        switch members[name] {
        case .integers(let values): values
        case .reals(let values): values.map { Int64(exactly: $0.rounded(.towardZero)) ?? 0 }
        case .integer, .real, .string, .object, nil: []
        }
    }

    func object(_ name: String) -> StreamedObject? { if case .object(let value) = members[name] { value } else { nil } }

    /// The objects in a member that is a collection.
    func list(_ name: String) -> [StreamedObject] { object(name)?.items.compactMap { $0 } ?? [] }
}

/// A basket that was streamed into the TTree's own record.
struct EmbeddedBasket {
    let entries: Int
    /// Bytes that the offsets count from: the key's header.
    let keyLength: Int
    /// Where the entries' data end, counted as the offsets are.
    let last: Int
    /// Empty where every entry has one size.
    let offsets: [Int32]
    /// The data after the key's header; empty where the basket lies elsewhere.
    let data: [UInt8]
}
