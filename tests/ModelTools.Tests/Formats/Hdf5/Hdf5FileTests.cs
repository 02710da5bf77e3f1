using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Hdf5;
using Whatsit.ModelTools.Tests.Formats.Keras;

namespace Whatsit.ModelTools.Tests.Formats.Hdf5;

public sealed class Hdf5FileTests
{
    [Theory]
    [InlineData("earliest.h5")] // superblock 0, symbol tables, object headers of version 1
    [InlineData("latest.h5")] // superblock 3, link messages, object headers of version 2
    public void Attributes_hold_text_of_each_kind_and_integers(string file)
    {
        using var hdf5 = Open(file);
        var attributes = hdf5.Root.Group("attributes")!.Attributes;

        Assert.Equal("fixed text", attributes["fixed"].ReadString());
        Assert.Equal("text of any length: Größe", attributes["variable"].ReadString());
        Assert.Equal(["one", "two", "three"], attributes["fixed list"].ReadStrings());
        Assert.Equal(["eins", "", "drei"], attributes["variable list"].ReadStrings());
        Assert.Equal(0, attributes["empty list"].Count);
        Assert.Equal("with spaces", attributes["space padded"].ReadString());
        Assert.Equal([-3L], attributes["integer"].ReadIntegers());
        Assert.Equal([1L, 2, 3], attributes["integers"].ReadIntegers());
        Assert.Equal(string.Concat(Enumerable.Repeat("0123456789", 600)), attributes["long"].ReadString());
        Assert.Equal("value 19", attributes["number 19"].ReadString());
        Assert.Equal(29, attributes.Count);
    }

    [Theory]
    [InlineData("earliest.h5")]
    [InlineData("latest.h5")]
    public void Attributes_of_another_type_are_refused_by_name(string file)
    {
        using var hdf5 = Open(file);
        var attributes = hdf5.Root.Group("attributes")!.Attributes;

        Assert.Equal("The attribute 'integer' of '/attributes' holds 16-bit integer where text is expected.",
            Assert.Throws<ModelFormatException>(() => attributes["integer"].ReadString()).Message);
        Assert.Equal("The attribute 'fixed list' of '/attributes' holds 3 values where one is expected.",
            Assert.Throws<ModelFormatException>(() => attributes["fixed list"].ReadString()).Message);
    }

    [Theory]
    [InlineData("earliest.h5")]
    [InlineData("latest.h5")]
    public void Numbers_of_each_type_come_out_little_endian(string file)
    {
        using var hdf5 = Open(file);
        var types = hdf5.Root.Group("types")!;

        Assert.Equal(Numbers(15).Select(value => (Half)value), Read<Half>(types, "little f2"));
        Assert.Equal(Numbers(15).Select(value => (float)value), Read<float>(types, "little f4"));
        Assert.Equal(Numbers(15).Select(value => (double)value), Read<double>(types, "little f8"));
        Assert.Equal(Numbers(15).Select(value => (float)value), Read<float>(types, "big f4"));
        Assert.Equal(Numbers(15).Select(value => (sbyte)value), Read<sbyte>(types, "i1"));
        Assert.Equal(Numbers(15).Select(value => (byte)value), Read<byte>(types, "u1"));
        Assert.Equal(Numbers(15).Select(value => (short)value), Read<short>(types, "little i2"));
        Assert.Equal(Numbers(15).Select(value => (ushort)value), Read<ushort>(types, "little u2"));
        Assert.Equal(Numbers(15), Read<int>(types, "little i4"));
        Assert.Equal(Numbers(15), Read<int>(types, "big i4"));
        Assert.Equal(Numbers(15).Select(value => (long)value), Read<long>(types, "little i8"));
        Assert.Equal(Numbers(15).Select(value => (ulong)value), Read<ulong>(types, "little u8"));
        Assert.Equal([1, 0, 1], Read<byte>(types, "boolean"));
        Assert.Equal([2.5f], Read<float>(types, "scalar"));
        Assert.Empty(types.Dataset("scalar")!.Shape);
        Assert.Equal(Numbers(4).Select(value => (float)value), Read<float>(types, "of named type"));
        Assert.Null(types.Find("named"));
        Assert.Equal("16-bit float", types.Dataset("little f2")!.Type.ToString());
        Assert.Equal("64-bit unsigned integer", types.Dataset("little u8")!.Type.ToString());
    }

    [Theory]
    [InlineData("earliest.h5")]
    [InlineData("latest.h5")]
    public void Elements_are_found_however_they_are_laid_out(string file)
    {
        using var hdf5 = Open(file);
        var layouts = hdf5.Root.Group("layouts")!;

        Assert.Equal([7L, 9], layouts.Dataset("contiguous")!.Shape);
        Assert.Equal(Numbers(20).Select(value => (float)value), Read<float>(layouts, "compact"));
        Assert.Equal(Enumerable.Repeat(1.5f, 9), Read<float>(layouts, "never written"));
        foreach (var name in new[] { "contiguous", "implicit", "fletcher32 gzip shuffle" })
        {
            Assert.Equal(Numbers(63).Select(value => (float)value), Read<float>(layouts, name));
        }

        Assert.Equal(Numbers(126).Select(value => (double)value), Read<double>(layouts, "gzip shuffle"));
        Assert.Equal(Numbers(200).Select(value => (byte)value), Read<byte>(layouts, "many chunks"));
    }

    [Fact]
    public void Chunks_are_found_through_each_index_of_new_files()
    {
        using var hdf5 = Open("latest.h5");
        var layouts = hdf5.Root.Group("layouts")!;

        foreach (var name in new[] { "single chunk", "single chunk gzip", "chunked", "gzip" })
        {
            Assert.Equal(Numbers(63).Select(value => (float)value), Read<float>(layouts, name));
        }

        Assert.Equal(Numbers(63).Select(value => (short)value), Read<short>(layouts, "fletcher32"));
        Assert.Equal(Numbers(240).Select(value => (byte)value), Read<byte>(layouts, "one side grows"));
        Assert.Equal(Numbers(180).Select(value => (byte)value), Read<byte>(layouts, "one side grows gzip"));
        Assert.Equal(Numbers(400).Select(value => (byte)value), Read<byte>(layouts, "both sides grow"));
        Assert.Equal(Numbers(400).Select(value => (byte)value), Read<byte>(layouts, "both sides grow gzip"));
        Assert.Empty(layouts.Dataset("empty")!.Read());

        // Chunks that were never written, in pages and blocks that were never written.
        Assert.Equal(Enumerable.Range(0, 140100)
            .Select(index => index is (>= 2900 and < 2905) or (>= 140000 and < 140005) ? (byte)9 : (byte)7), Read<byte>(layouts, "holes"));
        Assert.Equal(Enumerable.Range(0, 1100).Select(index => index is >= 1050 and < 1055 ? (byte)9 : (byte)7), Read<byte>(layouts, "holes in a fixed shape"));
    }

    [Theory]
    [InlineData("earliest.h5")]
    [InlineData("latest.h5")]
    public void Links_lead_to_their_targets_and_not_out_of_the_file(string file)
    {
        using var hdf5 = Open(file);
        var links = hdf5.Root.Group("links")!;

        Assert.Equal([0, 1, 2], Read<int>(links, "hard"));
        Assert.Equal([0, 1, 2], Read<int>(links, "soft"));
        Assert.Equal([0, 1, 2], Read<int>(links, "absolute"));
        Assert.Equal([0, 1, 2], Read<int>(hdf5.Root, "/links/up/up/target"));
        Assert.Equal([0, 1, 2], Read<int>(links, "many/a name that takes some room 59"));
        Assert.Equal(60, links.Group("many")!.Names.Count);
        Assert.Null(links.Find("dangling"));
        Assert.Null(links.Find("nowhere"));
        Assert.Null(links.Find("target/below a dataset"));
        Assert.Null(links.Group("target"));
        Assert.Equal("'/links/elsewhere' lies in another file ('other.h5'), which is not supported.",
            Assert.Throws<ModelFormatException>(() => links.Find("elsewhere")).Message);
        Assert.Contains("leads from soft link to soft link", Assert.Throws<ModelFormatException>(() => links.Find("circle")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_group_of_hundreds_of_links_is_found_through_its_heap()
    {
        using var hdf5 = Open("many-links.h5");

        Assert.Equal(401, hdf5.Root.Names.Count);
        Assert.All(Enumerable.Range(0, 400), index => Assert.NotNull(hdf5.Root.Group($"{index:D5}")));
    }

    [Theory]
    [InlineData("superblock2.h5", "numbers")]
    [InlineData("userblock.h5", "group/numbers")]
    public void The_superblock_of_version_2_and_one_behind_a_user_block_are_found(string file, string path)
    {
        using var hdf5 = Open(file);

        Assert.Equal(Numbers(12).Select(value => (float)value), Read<float>(hdf5.Root, path));
    }

    [Fact]
    public async Task A_file_of_many_megabytes_is_read_through_tables_of_tables()
    {
        var path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid()}.h5");
        try
        {
            await KerasFiles.Python("large.py", path);
            using var hdf5 = Hdf5File.Open(path);

            Assert.Equal(20_001, hdf5.Root.Names.Count);
            Assert.All(Enumerable.Range(0, 20_000), index => Assert.NotNull(hdf5.Root.Group($"a name that fills the heap's blocks {index:D5}")));
            Assert.Equal(Numbers(1_000_000).Select(value => (byte)value), Read<byte>(hdf5.Root, "numbers"));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_file_of_another_format_is_refused()
    {
        Assert.False(Hdf5File.IsHdf5(new MemoryStream("not HDF5"u8.ToArray())));
        Assert.Equal("The file is not an HDF5 file: its signature is missing.",
            Assert.Throws<ModelFormatException>(() => Hdf5File.Open(new MemoryStream(new byte[4096]))).Message);
    }

    [Fact]
    public void A_checksum_that_does_not_match_is_refused()
    {
        var file = File.ReadAllBytes(KerasFiles.Path("latest.h5"));
        // A row of a chunk of 'fletcher32', the only dataset that holds these 16-bit integers uncompressed.
        var row = file.AsSpan().IndexOf(MemoryMarshal.AsBytes<short>([54, 55, 56, 57]));
        BinaryPrimitives.WriteInt16LittleEndian(file.AsSpan(row), 55);
        using var hdf5 = Hdf5File.Open(new MemoryStream(file));

        Assert.Contains("checksum", Assert.Throws<ModelFormatException>(() => hdf5.Root.Dataset("layouts/fletcher32")!.Read()).Message,
            StringComparison.Ordinal);
    }

    private static Hdf5File Open(string file) => Hdf5File.Open(KerasFiles.Path(file));

    // What make.py fills datasets with.
    private static IEnumerable<int> Numbers(int count) => Enumerable.Range(0, count).Select(index => index % 97);

    private static T[] Read<T>(Hdf5Group group, string path) where T : unmanaged => MemoryMarshal.Cast<byte, T>(group.Dataset(path)!.Read()).ToArray();
}
