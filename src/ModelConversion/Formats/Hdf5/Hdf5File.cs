using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.Hdf5;

/// <summary>
/// Reads HDF5 along the "HDF5 File Format Specification Version 3.0" (https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html);
/// comments cite its sections. Groups, attributes and datasets as h5py writes them; links to other files are refused by name. Checksums of
/// structures are not verified: a wrong number is caught where it leads out of the file.
/// </summary>
public sealed class Hdf5File : IDisposable
{
    private static readonly byte[] FormatSignature = [0x89, (byte)'H', (byte)'D', (byte)'F', 0x0D, 0x0A, 0x1A, 0x0A];

    private readonly Stream _stream;

    private Hdf5File(Stream stream, Hdf5Group root)
    {
        _stream = stream;
        Root = root;
    }

    /// <summary>The group that everything hangs from.</summary>
    public Hdf5Group Root { get; }

    /// <summary>Opens a file on disk.</summary>
    /// <exception cref="ModelFormatException">It is not an HDF5 file, or a malformed one.</exception>
    public static Hdf5File Open(string path)
    {
        // Pages and large reads are ours; a buffer below them would only copy once more.
        var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.RandomAccess);
        try
        {
            return Open(stream);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Opens a seekable stream, which the file owns from then on.</summary>
    /// <exception cref="ModelFormatException">It is not an HDF5 file, or a malformed one.</exception>
    public static Hdf5File Open(Stream stream)
    {
        var superblock = FindSuperblock(stream);
        return superblock < 0
            ? throw new ModelFormatException("The file is not an HDF5 file: its signature is missing.")
            : new Hdf5File(stream, ReadSuperblock(new Hdf5Storage(stream) { BaseAddress = superblock }));
    }

    /// <summary>A cheap look: does the stream hold the signature?</summary>
    public static bool IsHdf5(Stream stream) => FindSuperblock(stream) >= 0;

    /// <summary>Closes the stream.</summary>
    public void Dispose() => _stream.Dispose();

    // II.A: the superblock begins at byte 0, 512, 1024, 2048 and so on; what stands before it is the user block.
    private static long FindSuperblock(Stream stream)
    {
        Span<byte> signature = stackalloc byte[8];
        for (long position = 0; position <= stream.Length - signature.Length; position = position == 0 ? 512 : position * 2)
        {
            stream.Position = position;
            stream.ReadExactly(signature);
            if (signature.SequenceEqual(FormatSignature))
            {
                return position;
            }
        }

        return -1;
    }

    private static Hdf5Group ReadSuperblock(Hdf5Storage storage)
    {
        var cursor = storage.At(8);
        var version = cursor.Version("superblock", 0, 3);
        if (version < 2)
        {
            cursor.Skip(4); // versions of the free-space storage, the root group and shared headers, and a reserved byte
        }

        storage.OffsetSize = SizeOf(cursor.Byte(), "addresses");
        storage.LengthSize = SizeOf(cursor.Byte(), "lengths");
        if (version < 2)
        {
            // II.A, versions 0 and 1: reserved byte, two K values, flags, (version 1: one more K value and two reserved bytes); base, free-space,
            // end-of-file and driver addresses; then the root group's symbol table entry (III.C), whose second field is its object header.
            cursor.Skip(1 + 2 + 2 + 4 + (version == 1 ? 4 : 0) + (5 * storage.OffsetSize));
        }
        else
        {
            cursor.Skip(1 + (3 * storage.OffsetSize)); // flags; base address, superblock extension and end of file
        }

        storage.Root = Hdf5Object.Open(storage, cursor.Offset(), "/") as Hdf5Group;
        return storage.Root ?? throw Hdf5Storage.Malformed("its root is not a group");
    }

    private static int SizeOf(byte size, string what) =>
        size is 2 or 4 or 8 ? size : throw Hdf5Storage.Malformed($"its {what} have {Counted.Of(size, "byte")}");
}
