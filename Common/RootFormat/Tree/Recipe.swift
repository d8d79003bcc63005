import Bytes
import Columns

/// How the bytes of one entry are read. It is made once from the class descriptions and run for each entry.
indirect enum Recipe: Sendable {
    case number(Encoding, leaf: Int)
    /// A number that later arrays are counted by.
    case counter(Encoding, leaf: Int, register: Int)
    /// TObject's bits: a referenced object has two more bytes behind them.
    case bits(leaf: Int)
    /// A TString: one length byte, or 255 and four; then characters.
    case text(leaf: Int)
    /// A C string: four length bytes, then characters.
    case longText(leaf: Int)
    /// Bytes of no interest.
    case skip(Int)
    /// A TObject: version, identifier, bits.
    case rootObject
    /// A pointer to an object: null, a reference, or an object with its length.
    case pointer
    case several([Recipe])
    case fixed(Int, Recipe)
    /// An array of as many items as the value of a member read before, behind a byte that is 0 for a null pointer.
    case counted(register: Int, flagged: Bool, Recipe, LevelUse)
    /// The upper triangle of a symmetric matrix with as many rows as the value of a member read before.
    case triangle(register: Int, Recipe, LevelUse)
    /// Four bytes of count, then items.
    case sequence(Recipe, LevelUse)
    /// Items up to the entry's end.
    case toEnd(Recipe, LevelUse)
    /// A version with a byte count, then the body; nothing may be left over.
    case headed(Recipe)
    /// A collection behind its header, as its writer chose: item after item, or member after member.
    case collection(whole: Recipe, memberWise: Recipe?, name: String)
    /// An object of a class. Where a member cannot be read, `complete` is false and the rest is skipped.
    case object(name: String, version: Int, checksum: UInt32, Recipe, complete: Bool)
    /// An object or a collection that is not read: the byte count in its header gives its end.
    case passed
    /// Whatever is left of the entry.
    case rest
    /// An object behind its class name (TBranchObject).
    case named(name: String, Recipe)
    /// The version of the items' class, which stands once before member-wise collections; 0 expects none in particular.
    case versioned(version: Int, Recipe)
    /// Member-wise items: their count, then for each member that member of all items. Behind a count of 0 nothing
    /// follows.
    case columns([Recipe], LevelUse)
    /// All items of one member in a member-wise collection: the innermost count applies.
    case forEachItem(Recipe)
    /// A TClonesArray of items of a class in a version (`Track;2`): a bit of its own shows whether they lie member by
    /// member or object by object.
    case clones(of: String, whole: Recipe, memberWise: Recipe?, LevelUse)
    /// The number of items that each of the arrays behind it has: together, items of `each` bytes, they fill the entry
    /// but for `fixed` bytes.
    case share(register: Int, each: Int, fixed: Int)

    /// The leaves under a varying level, each with which of its varying levels this is.
    struct LevelUse: Sendable {
        var leaves: [(leaf: Int, level: Int)]
    }

    /// Whether reading it may take no bytes at all.
    var mayBeEmpty: Bool {
        switch self {
        case .several(let parts): parts.allSatisfy(\.mayBeEmpty)
        case .fixed(let count, let item): count == 0 || item.mayBeEmpty
        case .skip(let count): count == 0
        case .counted(_, let flagged, _, _): !flagged
        case .toEnd, .forEachItem, .triangle, .rest, .share: true
        case .number, .counter, .bits, .text, .longText, .rootObject, .pointer, .sequence, .headed, .collection,
            .object, .passed, .named, .versioned, .columns, .clones:
            false
        }
    }
}

/// One column that a recipe gives.
struct RecipeLeaf: Sendable {
    /// Members' names joined by dots; empty where the branch is one column.
    var path: String
    var type: DataType
    var shape: Shape
    var isText = false
    var typeName: String
    /// The class whose member it is.
    var owner = ""
    /// Set where the member cannot be read: its name is listed all the same.
    var reason: String?

    func isSameColumn(as other: RecipeLeaf) -> Bool {
        path == other.path && type == other.type && shape == other.shape && isText == other.isText
            && reason == other.reason
    }
}

/// A branch's way of reading, with the columns it gives.
final class BranchRecipe: Sendable {
    let body: Recipe
    let leaves: [RecipeLeaf]
    let registers: Int

    init(body: Recipe, leaves: [RecipeLeaf], registers: Int) {
        self.body = body
        self.leaves = leaves
        self.registers = registers
    }
}
